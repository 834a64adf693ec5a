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
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from ftapp.common.errors import suggest_nearest

GROUPS = ("all", "backbone", "head", "embeddings", "attention", "mlp", "norms", "pooler")

_ENDS = re.compile(r"(first|last):(\d+)")
_BLOCKS = re.compile(r"blocks\[(?:(?P<index>-?\d+)|(?P<start>-?\d*):(?P<stop>-?\d*))\]")
_NAME = re.compile(r"[A-Za-z0-9_*?./\[\]-]+")


@dataclass(frozen=True)
class WeightedLayer:
    """A layer that holds weights of its own, as the rules see it.

    Attributes:
        path: The names of the layers around it and its own, from the top of the model down, joined by "/".
        groups: The component groups (`GROUPS`) that it belongs to.
        block: The index of the repeated block that it lies in; None outside of blocks.
        blocks: The number of blocks of the model.
    """

    path: str
    groups: frozenset[str]
    block: int | None
    blocks: int


@dataclass(frozen=True)
class Term:
    """One condition on a layer.

    Attributes:
        text: A group, a range of blocks, a name or a glob.
        negated: Whether the condition holds for all other layers.
    """

    text: str
    negated: bool

    def matches(self, layer: WeightedLayer) -> bool:
        """Tell whether the condition holds for a layer."""
        return self._holds(layer) is not self.negated

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

    def matches(self, layer: WeightedLayer) -> bool:
        """Tell whether one of the selections matches a layer."""
        return any(all(term.matches(layer) for term in selection) for selection in self.selections)


class Rule(Selections):
    """`freeze` or `train` applied to every layer that one of the selections matches."""

    def __new__(cls, text: str) -> Self:
        """Parse a text without the space around it, as `Selections` does."""
        return text if type(text) is cls else super().__new__(cls, text.strip())

    @classmethod
    def _remove_verb(cls, text: str) -> str:
        verb, _, rest = text.partition(" ")
        if verb not in ("freeze", "train"):
            raise ValueError(
                f"'{text}' begins with neither 'freeze' nor 'train'; {suggest_nearest(verb, ('freeze', 'train'))}"
            )
        if not rest.strip():
            raise ValueError(f"'{text}' names no layers; name some, for example '{verb} attention & last:4'")
        return rest

    @property
    def trainable(self) -> bool:
        """Whether the rule lets layers train."""
        return self.startswith("train ")


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


def decide(rules: Sequence[Rule], layers: Sequence[WeightedLayer]) -> tuple[list[bool], list[Rule | None]]:
    """Decide which layers train.

    Args:
        rules: The rules of a phase, in order.
        layers: The weighted layers of a model.

    Returns:
        For each layer whether it trains, and the rule that decided; None where no rule matches, and the layer trains.
    """
    trainable = [True] * len(layers)
    deciding: list[Rule | None] = [None] * len(layers)
    for rule in rules:
        for index, layer in enumerate(layers):
            if rule.matches(layer):
                trainable[index], deciding[index] = rule.trainable, rule
    return trainable, deciding


def find_unmatched(rules: Sequence[Selections], layers: Sequence[WeightedLayer]) -> list[str]:
    """Find the selections that match no layer.

    Args:
        rules: The rules of a phase, or the keys of a table of learning rates.
        layers: The weighted layers of a model.

    Returns:
        A message for each such selection, with the nearest names.
    """
    groups = [group for group in GROUPS if group == "all" or any(group in layer.groups for layer in layers)]
    names = dict.fromkeys([*groups, *(part for layer in layers for part in layer.path.split("/"))])
    messages = []
    for rule in rules:
        for selection in rule.selections:
            if not any(all(term.matches(layer) for term in selection) for layer in layers):
                alone = [term for term in selection if not any(term.matches(layer) for layer in layers)]
                subject = alone[0].text if alone else " & ".join(term.text for term in selection)
                place = f", in '{rule}'" if subject != rule else ""
                messages.append(f"'{subject}' matches no layer of this model{place}; {suggest_nearest(subject, names)}")
    return messages


def say_nothing_trains(rules: Sequence[str]) -> str:
    """Write the message about a phase whose rules freeze everything."""
    return f"{list(rules)} freeze all layers; a phase trains at least one layer; add for example 'train head'"
