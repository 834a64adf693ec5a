"""The language of `layers` in a recipe's phase: which layers are frozen and which train.

A phase starts with everything trainable and applies its rules in order, so that later rules override earlier ones:

    layers = ["freeze all", "train attention & last:4", "train head"]

A rule is `freeze` or `train` and one or more selections with commas between them. A selection is one or more terms
joined by `&` (all must hold), and a term may be negated by `!`:

    all backbone head embeddings attention mlp norms pooler   component groups
    blocks[0:6]  blocks[3]  first:2  last:4     ranges of the backbone's repeated blocks, in order, from 0
    block5  transformer_layer_0  *_conv1  */query                     names and globs on layer paths

Blocks are counted through the towers of a model in the order of its network: a vision encoder's, then the decoder's.
Selections alone are the keys of a table of learning rates (`ftapp.training.layer_rates`).

A name matches a layer if it is a part of the layer's path, or begins one and is followed by `_` (`block5` matches
`block5_conv1`). A glob is compared with the whole path and with its last part.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ftapp.common.errors import nearest

GROUPS = ("all", "backbone", "head", "embeddings", "attention", "mlp", "norms", "pooler")

_ENDS = re.compile(r"(first|last):(\d+)")
_BLOCKS = re.compile(r"blocks\[(?:(?P<index>-?\d+)|(?P<start>-?\d*):(?P<stop>-?\d*))\]")
_NAME = re.compile(r"[A-Za-z0-9_*?./\[\]-]+")


@dataclass(frozen=True)
class Unit:
    """A layer that holds weights of its own, as the rules see it.

    path: names from the top of the model down, joined by "/"; groups: those of GROUPS it belongs to;
    block: index of the repeated block it lies in, None outside of them; blocks: how many blocks the model has.
    """

    path: str
    groups: frozenset[str]
    block: int | None
    blocks: int


@dataclass(frozen=True)
class Term:
    """One condition on a unit."""

    text: str
    negated: bool

    def matches(self, unit: Unit) -> bool:
        return self._holds(unit) is not self.negated

    def _holds(self, unit: Unit) -> bool:
        if self.text in GROUPS:
            return self.text == "all" or self.text in unit.groups
        if ends := _ENDS.fullmatch(self.text):
            count = min(int(ends[2]), unit.blocks)
            chosen = range(count) if ends[1] == "first" else range(unit.blocks - count, unit.blocks)
            return unit.block in chosen
        if span := _BLOCKS.fullmatch(self.text):
            every = range(unit.blocks)
            if span["index"]:
                index = int(span["index"])
                return unit.block is not None and unit.block == (index + unit.blocks if index < 0 else index)
            start, stop = (int(span[end]) if span[end] else None for end in ("start", "stop"))
            return unit.block in every[start:stop]
        parts = unit.path.split("/")
        if set("*?[") & set(self.text):
            return fnmatchcase(unit.path, self.text) or fnmatchcase(parts[-1], self.text)
        return self.text == unit.path or any(part == self.text or part.startswith(self.text + "_") for part in parts)


@dataclass(frozen=True)
class Selections:
    """One or more selections, as they were written; a unit matches if one of them matches it.

    selections: each a tuple of terms that must all hold.
    """

    text: str
    selections: tuple[tuple[Term, ...], ...]

    def matches(self, unit: Unit) -> bool:
        return any(all(term.matches(unit) for term in selection) for selection in self.selections)


@dataclass(frozen=True)
class Rule(Selections):
    """`freeze` or `train` applied to every unit that one of the selections matches."""

    trainable: bool


def parse_rule(text: str) -> Rule:
    """Read one rule. Raises ValueError with the rule, what arrived and the nearest valid choice."""
    verb, _, rest = text.strip().partition(" ")
    if verb not in ("freeze", "train"):
        raise ValueError(f"a rule begins with 'freeze' or 'train'; got '{text}'; {nearest(verb, ('freeze', 'train'))}")
    if not rest.strip():
        raise ValueError(f"a rule names what it is about; got '{text}'; for example '{verb} attention & last:4'")
    return Rule(text=text.strip(), trainable=verb == "train", selections=_parse_all(rest, text))


def parse_selections(text: str) -> Selections:
    """Read selections without a verb. Raises ValueError as `parse_rule` does."""
    return Selections(text=text.strip(), selections=_parse_all(text, text))


def _parse_all(text: str, whole: str) -> tuple[tuple[Term, ...], ...]:
    return tuple(
        tuple(_parse_term(term.strip(), whole) for term in selection.split("&")) for selection in text.split(",")
    )


def _parse_term(text: str, whole: str) -> Term:
    negated = text.startswith("!")
    name = text.removeprefix("!").strip()
    if not name:
        raise ValueError(f"every ',' and '&' of a rule stands between two selections; got '{whole}'")
    if ":" in name and not (_ENDS.fullmatch(name) or _BLOCKS.fullmatch(name)):
        raise ValueError(f"a range is first:N, last:N or blocks[A:B]; got '{name}' in '{whole}'")
    if not _NAME.fullmatch(name.replace(":", "")):
        raise ValueError(
            f"a selection is a group, a range of blocks or a layer's name or glob; got '{name}' in '{whole}'"
        )
    return Term(name, negated)


def decide(rules: Sequence[Rule], units: Sequence[Unit]) -> tuple[list[bool], list[Rule | None]]:
    """For each unit: whether it trains, and the rule that decided it (None where no rule matched: it trains)."""
    trainable = [True] * len(units)
    deciding: list[Rule | None] = [None] * len(units)
    for rule in rules:
        for index, unit in enumerate(units):
            if rule.matches(unit):
                trainable[index], deciding[index] = rule.trainable, rule
    return trainable, deciding


def unmatched(rules: Sequence[Selections], units: Sequence[Unit]) -> list[str]:
    """A message for each selection that matches no unit, with the nearest names."""
    groups = [group for group in GROUPS if group == "all" or any(group in unit.groups for unit in units)]
    names = dict.fromkeys([*groups, *(part for unit in units for part in unit.path.split("/"))])
    messages = []
    for rule in rules:
        for selection in rule.selections:
            if not any(all(term.matches(unit) for term in selection) for unit in units):
                alone = [term for term in selection if not any(term.matches(unit) for unit in units)]
                subject = alone[0].text if alone else " & ".join(term.text for term in selection)
                place = f", in '{rule.text}'" if subject != rule.text else ""
                messages.append(f"'{subject}' matches no layer of this model{place}; {nearest(subject, names)}")
    return messages


def nothing_trains(rules: Sequence[str]) -> str:
    """What to say of a phase whose rules freeze everything."""
    return f"a phase trains at least one layer; {list(rules)} freeze all; add for example 'train head'"


def naming(path: str, inside: Collection[int], units: Sequence[Unit]) -> str:
    """The most readable selection of a layer and all that lies in it, and of nothing else.

    A group where one is just that, else the layer's name, its name in its block, or its path. inside: indices of the
    units that are meant.
    """
    wanted = [index in inside for index in range(len(units))]
    chosen = [unit for unit, holds in zip(units, wanted, strict=True) if holds]
    name = path.rpartition("/")[2]
    candidates = [*GROUPS, name, f"{name} & !{name}_*"]
    if len(blocks := {unit.block for unit in chosen} - {None}) == 1:
        candidates.append(f"blocks[{blocks.pop()}] & {name}")
    candidates += [path, f"{path}/*", f"{path}, {path}/*"]
    for text in candidates:
        with suppress(ValueError):
            selections = parse_selections(text)
            if [selections.matches(unit) for unit in units] == wanted:
                return text
    # A name with signs that the language does not have; a `?` of a glob stands for any.
    return ", ".join(re.sub(r"[^A-Za-z0-9_./-]", "?", unit.path) for unit in chosen)


def added(rules: Sequence[str], rule: str, units: Sequence[Unit]) -> list[str]:
    """The rules with one more laid over them, and without the selections that have no effect on these units then.

    The earliest go first, so that what was said last stays. The new rule joins the last one where both say the same.
    Raises ValueError as `parse_rule` does.
    """
    parsed = [parse_rule(text) for text in [*rules, rule]]
    wanted, _ = decide(parsed, units)
    atoms = [(number, atom) for number, each in enumerate(parsed) for atom in _atoms(each)]
    index = 0
    while index < len(atoms):
        rest = atoms[:index] + atoms[index + 1 :]
        if decide([atom for _, atom in rest], units)[0] == wanted:
            atoms = rest
        else:
            index += 1
    left = [[atom for owner, atom in atoms if owner == number] for number in range(len(parsed))]
    kept = [_joined(each, parts) for each, parts in zip(parsed, left, strict=True) if parts]
    if left[-1] and len(kept) > 1 and kept[-2].trainable == kept[-1].trainable:
        kept[-2:] = [_joined(None, [*_atoms(kept[-2]), *_atoms(kept[-1])])]
    return [each.text for each in kept]


def last_blocks(rules: Sequence[str], units: Sequence[Unit]) -> int:
    """How many blocks at the end train as a whole."""
    trainable, _ = decide([parse_rule(text) for text in rules], units)
    frozen = [
        unit.block for unit, trains in zip(units, trainable, strict=True) if unit.block is not None and not trains
    ]
    blocks = units[0].blocks if units else 0
    return blocks - 1 - max(frozen, default=-1)


def with_last_blocks(rules: Sequence[str], count: int, units: Sequence[Unit]) -> list[str]:
    """The rules changed so that of the blocks which train as a whole, `count` at the end go on or begin to.

    Layers in other blocks and outside of them stay as they are. Raises ValueError as `parse_rule` does.
    """
    now = last_blocks(rules, units)
    if count > now:
        return added(rules, f"train last:{count}", units)
    if count == now:
        return list(rules)
    blocks = units[0].blocks
    trainable, _ = decide([parse_rule(text) for text in rules], units)
    below = range(blocks - now)
    frozen_below = not any(trains for unit, trains in zip(units, trainable, strict=True) if unit.block in below)
    span = f"first:{blocks - count}" if frozen_below else f"blocks[{blocks - now}:{blocks - count}]"
    longer = added(rules, f"freeze {span}", units)
    # `last:4` with a smaller number reads better than a second rule, where it comes to the same.
    shorter = [re.sub(rf"\blast:{now}\b", f"last:{count}", text) for text in rules]
    if not count:
        shorter = [text for text in shorter if "last:0" not in text]
    states = [decide([parse_rule(text) for text in each], units)[0] for each in (longer, shorter)]
    return shorter if states[0] == states[1] else longer


def _atoms(rule: Rule) -> Iterator[Rule]:
    """The rule as rules of one selection each."""
    verb = "train" if rule.trainable else "freeze"
    texts = rule.text.partition(" ")[2].split(",")
    for text, selection in zip(texts, rule.selections, strict=True):
        yield Rule(f"{verb} {text.strip()}", (selection,), rule.trainable)


def _joined(rule: Rule | None, atoms: Sequence[Rule]) -> Rule:
    """One rule of rules that say the same; `rule` itself, as it was written, where nothing is missing of it."""
    if rule and len(rule.selections) == len(atoms):
        return rule
    verb = "train" if atoms[0].trainable else "freeze"
    text = f"{verb} {', '.join(atom.text.partition(' ')[2] for atom in atoms)}"
    return parse_rule(text)
