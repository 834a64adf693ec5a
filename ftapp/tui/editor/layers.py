"""The tree of a model's layers with what trains in it: a pure view of a structure and a phase's rules."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ftapp.recipe import layer_rules, rule_edits
from ftapp.recipe.layer_rules import Rule
from ftapp.rpc.messages import Layer, Structure


class State(Enum):
    """Of a layer with all that lies in it."""

    TRAINS = "trains"
    PARTLY = "trains partly"
    FROZEN = "frozen"


@dataclass(frozen=True)
class Node:
    """A layer of the tree, or layers that make up a block and have none around them.

    path: of the layer, or the name that the layers of a block begin with; weighted: indices of the weighted layers that
    lie in it, its own included; parameters: of all of them; shape: of what it puts out, without the batch, None where
    that is not known; block: the one that all of it lies in.
    """

    path: str
    children: tuple[Node, ...]
    weighted: tuple[int, ...]
    parameters: int
    shape: tuple[int, ...] | None
    block: int | None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2] or "model"


def grow(structure: Structure) -> Node:
    """The whole model as a tree of its layers."""
    below: dict[str, list[Layer]] = {}
    for layer in structure.layers:
        below.setdefault(layer.parent, []).append(layer)
    index = {layer.path: number for number, layer in enumerate(structure.weighted)}

    def node(path: str, layer: Layer | None) -> Node:
        children = [node(child.path, child) for child in below.get(path, ())]
        if layer is None or layer.block is None:
            children = list(_blocks(children, path))
        own = (index[path],) if path in index else ()
        return Node(
            path=path,
            children=tuple(children),
            weighted=(*own, *(index for child in children for index in child.weighted)),
            parameters=(layer.parameters if layer else 0) + sum(child.parameters for child in children),
            shape=layer.shape if layer else None,
            block=layer.block if layer else None,
        )

    return node("", None)


def _blocks(siblings: Sequence[Node], path: str) -> Iterator[Node]:
    """The siblings, with neighbours of one block put together where their names begin alike, as block1_conv1 does.

    path: of the layer around them.
    """
    for block, group in itertools.groupby(siblings, key=lambda node: node.block):
        nodes = list(group)
        words = zip(*(node.name.split("_") for node in nodes), strict=False)
        common = "_".join(each[0] for each in itertools.takewhile(lambda each: len(set(each)) == 1, words))
        if block is None or len(nodes) < 2 or not common:
            yield from nodes
            continue
        weighted = tuple(index for node in nodes for index in node.weighted)
        parameters = sum(node.parameters for node in nodes)
        yield Node(f"{path}/{common}".lstrip("/"), tuple(nodes), weighted, parameters, nodes[-1].shape, block)


@dataclass(frozen=True)
class LayerChoice:
    """What the rules of a phase make of a structure.

    trainable, deciding: for each weighted layer, as `layer_rules.decide` gives them.
    """

    structure: Structure
    layers: tuple[Rule, ...]
    trainable: tuple[bool, ...]
    deciding: tuple[Rule | None, ...]

    @functools.cached_property
    def trained(self) -> int:
        """How many parameters train."""
        weighted = self.structure.weighted
        return sum(layer.trainable for layer, trains in zip(weighted, self.trainable, strict=True) if trains)

    @property
    def share(self) -> float:
        """R, the trainable share of all parameters."""
        return self.trained / max(1, self.structure.parameters)

    def state(self, weighted: Sequence[int]) -> State:
        training = sum(self.trainable[index] for index in weighted)
        return State.TRAINS if training == len(weighted) else State.PARTLY if training else State.FROZEN

    def rule(self, weighted: Sequence[int]) -> str:
        """The rule that decided about all of these layers; "" where none did or several."""
        decided = {self.deciding[index] or "" for index in weighted}
        return decided.pop() if len(decided) == 1 else ""

    def toggled(self, node: Node) -> list[str]:
        """The rules that freeze a layer with all in it where all of it trains, else train it."""
        return self._turned(
            node.weighted, rule_edits.name_selection(node.path, node.weighted, self.structure.weighted_layers)
        )

    def group_toggled(self, group: str) -> list[str] | None:
        """The same for a component group; None where no layer belongs to it."""
        layers = enumerate(self.structure.weighted_layers)
        weighted = [index for index, layer in layers if group == "all" or group in layer.groups]
        return self._turned(weighted, group) if weighted else None

    def problems(self) -> list[str]:
        """Why a phase cannot train this model with these rules, in the words of a run."""
        messages = layer_rules.find_unmatched(self.layers, self.structure.weighted_layers)
        if not messages and not self.trained:
            messages.append(layer_rules.say_nothing_trains(self.layers))
        return messages

    def _turned(self, weighted: Sequence[int], selection: str) -> list[str]:
        verb = "freeze" if self.state(weighted) is State.TRAINS else "train"
        return rule_edits.add_rule(self.layers, f"{verb} {selection}", self.structure.weighted_layers)


def choose(structure: Structure, layers: Sequence[str]) -> LayerChoice:
    """What rules make of a structure. Raises ValueError when one cannot be read."""
    rules = tuple(map(Rule, layers))
    trainable, deciding = layer_rules.decide(rules, structure.weighted_layers)
    return LayerChoice(structure, rules, tuple(trainable), tuple(deciding))
