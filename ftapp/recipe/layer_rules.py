"""The language of `layers` in a recipe's phase: which layers are frozen and which train.

A phase starts with everything trainable and applies its rules in order, so that later rules override earlier ones:

    layers = ["freeze all", "train attention & last:4", "train head"]

A rule is a verb and one or more selections with commas between them. The verbs are `freeze`, `train`, and `lora:RANK`
or `lora:RANK:ALPHA`, which freezes layers and trains low-rank adapters of their kernels. A selection is one or more
terms joined by `&` (all must hold), and a term may be negated by `!`:

    all backbone head embeddings attention mlp norms pooler   component groups
    blocks[0:6]  blocks[3]  first:2  last:4     ranges of the backbone's repeated blocks, in order, from 0
    block5  transformer_layer_0  *_conv1  */query                     names and globs on layer paths
    biases  adapters                            parts of layers: bias vectors, adapters of LoRA

Blocks are counted through the towers of a model in the order of its network: a vision encoder's, then the decoder's.
Selections alone are the keys of a table of learning rates (`ftapp.training.layer_rates`).

A name matches a layer if it is a part of the layer's path, or begins one and is followed by `_` (`block5` matches
`block5_conv1`). A glob is compared with the whole path and with its last part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, Self

from ftapp.common.errors import suggest_nearest

GROUPS = ("all", "backbone", "head", "embeddings", "attention", "mlp", "norms", "pooler")
Part = Literal["weights", "biases", "adapters"]
PARTS: tuple[Part, ...] = ("biases", "adapters")
"""The terms that select a part of a layer. All else that a layer holds is its weights."""

_ENDS = re.compile(r"(first|last):(\d+)")
_BLOCKS = re.compile(r"blocks\[(?:(?P<index>-?\d+)|(?P<start>-?\d*):(?P<stop>-?\d*))\]")
_NAME = re.compile(r"[A-Za-z0-9_*?./\[\]-]+")
_LORA = re.compile(r"lora:([1-9]\d{0,5})(?::([1-9]\d{0,5}))?")
_VERBS = ("freeze", "train", "lora:8")


class Adapter(NamedTuple):
    """The low-rank adapter of a kernel: the product of two factors is added to it (LoRA: Hu et al. 2022).

    Attributes:
        rank: The columns of the first factor, which are the rows of the second one.
        alpha: The product is multiplied by alpha / rank.
    """

    rank: int
    alpha: int


@dataclass(frozen=True)
class WeightedLayer:
    """A layer that holds weights of its own, as the rules see it.

    Attributes:
        path: The names of the layers around it and its own, from the top of the model down, joined by "/".
        groups: The component groups (`GROUPS`) that it belongs to.
        block: The index of the repeated block that it lies in; None outside of blocks.
        blocks: The number of blocks of the model.
        biases: The number of its parameters in bias vectors.
        kernel: The rows and columns of the kernel that an adapter is added to; None where the layer takes none.
        adapter: Its adapter; None where no rule so far gives it one.
    """

    path: str
    groups: frozenset[str]
    block: int | None
    blocks: int
    biases: int = 0
    kernel: tuple[int, int] | None = None
    adapter: Adapter | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the layer that rules decide about."""
        return "weights", *(("biases",) if self.biases else ()), *(("adapters",) if self.adapter else ())

    @property
    def adapter_parameters(self) -> int:
        """The number of parameters of the adapter."""
        return self.adapter.rank * sum(self.kernel) if self.adapter and self.kernel else 0


@dataclass(frozen=True)
class Term:
    """One condition on a layer or on a part of it.

    Attributes:
        text: A group, a range of blocks, a name, a glob, or a part.
        negated: Whether the condition holds for all other layers or parts.
    """

    text: str
    negated: bool

    def matches(self, layer: WeightedLayer, part: Part) -> bool:
        """Tell whether the condition holds for a part of a layer."""
        holds = part == self.text if self.text in PARTS else self._holds(layer)
        return holds is not self.negated

    def _holds(self, layer: WeightedLayer) -> bool:
        if self.text in GROUPS:
            return self.text == "all" or self.text in layer.groups
        if ends := _ENDS.fullmatch(self.text):
            count = min(int(ends[2]), layer.blocks)
            chosen = range(count) if ends[1] == "first" else range(layer.blocks - count, layer.blocks)
            return layer.block in chosen
        if span := _BLOCKS.fullmatch(self.text):
            every = range(layer.blocks)
            if span["index"]:
                index = int(span["index"])
                return layer.block is not None and layer.block == (index + layer.blocks if index < 0 else index)
            start, stop = (int(span[end]) if span[end] else None for end in ("start", "stop"))
            return layer.block in every[start:stop]
        parts = layer.path.split("/")
        if set("*?[") & set(self.text):
            return fnmatchcase(layer.path, self.text) or fnmatchcase(parts[-1], self.text)
        return self.text == layer.path or any(part == self.text or part.startswith(self.text + "_") for part in parts)


class Selections(str):
    """One or more selections, parsed: a string that keeps its terms.

    A layer matches if one of the selections matches it.

    Attributes:
        selections: For each selection the terms that must all hold.
    """

    selections: tuple[tuple[Term, ...], ...]

    def __new__(cls, text: str) -> Self:
        """Parse a text; return an object that is parsed already as it is.

        Raises:
            ValueError: The text is no selection; the message says why and names the nearest valid choice.
        """
        if type(text) is cls:
            return text
        parsed = super().__new__(cls, text)
        parsed.selections = _parse(cls._remove_verb(parsed), parsed)
        return parsed

    @classmethod
    def _remove_verb(cls, text: str) -> str:
        return text

    def find_parts(self, layer: WeightedLayer) -> frozenset[Part]:
        """Find the parts of a layer that the selections match."""
        return frozenset(part for part in layer.parts if any(selects(each, layer, part) for each in self.selections))

    def matches(self, layer: WeightedLayer) -> bool:
        """Tell whether one of the selections matches a layer or a part of it."""
        return any(selects(each, layer, part) for each in self.selections for part in layer.parts)


def selects(selection: Sequence[Term], layer: WeightedLayer, part: Part) -> bool:
    """Tell whether all conditions of a selection hold for a part of a layer."""
    return all(term.matches(layer, part) for term in selection)


class Rule(Selections):
    """A verb applied to every layer that one of the selections matches, or to the part of it that they match.

    Attributes:
        verb: `freeze`, `train`, or `lora:RANK` with or without an alpha.
        adapter: What the verb `lora` gives to layers; None with the other verbs.
    """

    verb: str
    adapter: Adapter | None

    def __new__(cls, text: str) -> Self:
        """Parse a text without the space around it, as `Selections` does."""
        if type(text) is cls:
            return text
        rule = super().__new__(cls, text.strip())
        rule.verb = rule.partition(" ")[0]
        rule.adapter = _parse_adapter(rule.verb)
        parts = [term.text for terms in rule.selections for term in terms if term.text in PARTS]
        if rule.adapter and parts:
            raise ValueError(
                f"'{parts[0]}' in '{rule}' is a part of layers; an adapter is added to the kernel of a layer"
            )
        return rule

    @classmethod
    def _remove_verb(cls, text: str) -> str:
        verb, _, rest = text.partition(" ")
        if verb not in ("freeze", "train") and not _LORA.fullmatch(verb):
            if verb.partition(":")[0] == "lora":
                raise ValueError(
                    f"'{verb}' in '{text}' is no rank; it is lora:RANK or lora:RANK:ALPHA with whole numbers from 1 "
                    "to 999,999, for example 'lora:8 attention'"
                )
            raise ValueError(
                f"'{text}' begins with neither 'freeze', 'train' nor 'lora:RANK'; {suggest_nearest(verb, _VERBS)}"
            )
        if not rest.strip():
            raise ValueError(f"'{text}' names no layers; name some, for example '{verb} attention & last:4'")
        return rest

    def change_parts(self, trained: frozenset[Part], found: frozenset[Part]) -> frozenset[Part]:
        """Say which parts of a layer train after the rule.

        Args:
            trained: Those that train before it.
            found: Those that the rule selects.
        """
        if self.adapter:
            return found & {"adapters"}
        return trained | found if self.trainable else trained - found

    @property
    def trainable(self) -> bool:
        """Whether the rule lets what it selects train."""
        return self.verb == "train"

    @property
    def reaches_weights(self) -> bool:
        """Whether the rule may let more train than biases and adapters."""
        return self.trainable and any(
            not any(term.text in PARTS and not term.negated for term in each) for each in self.selections
        )


def _parse_adapter(verb: str) -> Adapter | None:
    found = _LORA.fullmatch(verb)
    return Adapter(int(found[1]), int(found[2] or found[1])) if found else None


def _parse(text: str, whole: str) -> tuple[tuple[Term, ...], ...]:
    return tuple(
        tuple(_parse_term(term.strip(), whole) for term in selection.split("&")) for selection in text.split(",")
    )


def _parse_term(text: str, whole: str) -> Term:
    negated = text.startswith("!")
    name = text.removeprefix("!").strip()
    if not name:
        raise ValueError(f"'{whole}' lacks a selection; every ',' and '&' stands between two")
    if ":" in name and not (_ENDS.fullmatch(name) or _BLOCKS.fullmatch(name)):
        raise ValueError(f"'{name}' in '{whole}' is no range; a range is first:N, last:N or blocks[A:B]")
    if not _NAME.fullmatch(name.replace(":", "")):
        raise ValueError(f"'{name}' in '{whole}' is neither a group, a range of blocks, nor a layer's name or glob")
    return Term(name, negated)


@dataclass(frozen=True)
class Treatment:
    """What the rules of a phase make of a layer.

    Attributes:
        layer: The layer with the adapter that it has in the phase.
        parts: The parts of it that train.
    """

    layer: WeightedLayer
    parts: frozenset[Part]

    @property
    def trains(self) -> bool:
        """Whether a part of the layer trains."""
        return bool(self.parts)

    @property
    def is_whole(self) -> bool:
        """Whether the layer trains with all of its own weights."""
        return self.parts.issuperset(part for part in self.layer.parts if part != "adapters")


def decide(rules: Sequence[Rule], layers: Sequence[WeightedLayer]) -> tuple[list[Treatment], list[Rule | None]]:
    """Decide which parts of layers train.

    Args:
        rules: The rules of a phase, in order.
        layers: The weighted layers of a model, with the adapters of the phases before.

    Returns:
        For each layer what trains, and the last rule that matches it; None where no rule does, and all of it trains.
    """
    treatments = []
    deciding: list[Rule | None] = []
    for layer in add_adapters(rules, layers):
        parts, last = frozenset(layer.parts), None
        for rule in rules:
            if found := rule.find_parts(layer):
                last = rule
                parts = rule.change_parts(parts, found)
        treatments.append(Treatment(layer, parts))
        deciding.append(last)
    return treatments, deciding


def add_adapters(rules: Sequence[Rule], layers: Sequence[WeightedLayer]) -> list[WeightedLayer]:
    """Give layers the adapters of a phase.

    A later rule about the weights of a layer takes an adapter away that the phase has given, but none of the phases
    before, which the layer keeps.

    Args:
        rules: The rules of the phase, in order.
        layers: The layers with the adapters of the phases before.
    """
    given = []
    for layer in layers:
        rule = find_adapter_rule(rules, layer) if layer.kernel and layer.adapter is None else None
        given.append(replace(layer, adapter=rule.adapter) if rule else layer)
    return given


def find_adapter_rule(rules: Sequence[Rule], layer: WeightedLayer) -> Rule | None:
    """Find the rule whose adapter a layer gets: the last one about its weights; None where that gives no adapter.

    Args:
        rules: The rules of a phase, in order.
        layer: The layer.
    """
    last = next((rule for rule in reversed(rules) if "weights" in rule.find_parts(layer)), None)
    return last if last and last.adapter else None
