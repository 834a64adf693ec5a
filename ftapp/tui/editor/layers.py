"""The tree of a model's layers, and the state of each layer under the rules of a phase."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ftapp.recipe import layer_rules, rule_edits
from ftapp.recipe.layer_rules import Rule, Treatment
from ftapp.recipe.structure import Layer, Structure


class State(Enum):
    """The state of a layer with all layers inside it."""

    TRAINS = "trains"
    PARTLY = "trains partly"
    FROZEN = "frozen"


@dataclass(frozen=True)
class Node:
    """A layer of the tree, or the layers of a block that have no layer around them.

    Attributes:
        path: The path of the layer, or the common beginning of the names of a block's layers.
        children: The layers inside.
        weighted: The indices of the layers with weights inside, its own included.
        parameters: The number of parameters of all of them.
        shape: The shape of the output without the batch; None where it is unknown.
        block: The number of the block around it.
    """

    path: str
    children: tuple[Node, ...]
    weighted: tuple[int, ...]
    parameters: int
    shape: tuple[int, ...] | None
    block: int | None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2] or "model"


def build_tree(structure: Structure) -> Node:
    """Build the tree of a model's layers."""
    below: dict[str, list[Layer]] = {}
    for layer in structure.layers:
        below.setdefault(layer.parent, []).append(layer)
    index = {layer.path: number for number, layer in enumerate(structure.weighted)}

    def node(path: str, layer: Layer | None) -> Node:
        children = [node(child.path, child) for child in below.get(path, ())]
        if layer is None or layer.block is None:
            children = list(_group_blocks(children, path))
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


def _group_blocks(siblings: Sequence[Node], path: str) -> Iterator[Node]:
    """Put neighbours of one block together where their names begin alike, such as block1_conv1.

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
class AppliedRules:
    """The rules of a phase, applied to the layers of a model.

    Attributes:
        structure: The layers of the model, with the adapters of the phases before.
        layers: The rules as text.
        treatments: What the rules make of each layer with weights, as `layer_rules.decide` returns it.
        deciding: The rule that decides about each of them; None where there is none.
    """

    structure: Structure
    layers: tuple[Rule, ...]
    treatments: tuple[Treatment, ...]
    deciding: tuple[Rule | None, ...]

    @functools.cached_property
    def trained(self) -> int:
        """The number of parameters that train."""
        return self.structure.count_trained(self.treatments)

    @functools.cached_property
    def parameters(self) -> int:
        """The number of all parameters, with those of adapters."""
        return self.structure.count_parameters(self.treatments)

    @property
    def share(self) -> float:
        """R, the trainable share of all parameters."""
        return self.trained / max(1, self.parameters)

    def state(self, weighted: Sequence[int]) -> State:
        """Find the common state of some layers with weights."""
        chosen = [self.treatments[index] for index in weighted]
        if all(each.is_whole for each in chosen):
            return State.TRAINS
        return State.PARTLY if any(each.trains for each in chosen) else State.FROZEN

    def rule(self, weighted: Sequence[int]) -> str:
        """Find the rule that decides about all of these layers; "" where there is none or several."""
        decided = {self.deciding[index] or "" for index in weighted}
        return decided.pop() if len(decided) == 1 else ""

    def toggle(self, node: Node) -> str:
        """Return a rule that freezes a layer with all layers inside where all of them train, else trains them."""
        selection = rule_edits.name_selection(node.path, node.weighted, self.structure.weighted_layers)
        return self._switch(node.weighted, selection)

    def toggle_group(self, group: str) -> str | None:
        """Return such a rule for a component group; None where no layer belongs to it."""
        layers = enumerate(self.structure.weighted_layers)
        weighted = [index for index, layer in layers if group == "all" or group in layer.groups]
        return self._switch(weighted, group) if weighted else None

    def add(self, rule: str) -> list[str]:
        """Return the rules with one more, in the fewest words."""
        return rule_edits.add_rule(self.layers, rule, self.structure.weighted_layers)

    def _switch(self, weighted: Sequence[int], selection: str) -> str:
        return f"{'freeze' if self.state(weighted) is State.TRAINS else 'train'} {selection}"


def apply_rules(structure: Structure, layers: Sequence[str]) -> AppliedRules:
    """Apply rules to the layers of a model.

    Args:
        structure: The layers of the model.
        layers: The rules as text.

    Raises:
        ValueError: A rule cannot be parsed.
    """
    rules = tuple(map(Rule, layers))
    treatments, deciding = layer_rules.decide(rules, structure.weighted_layers)
    return AppliedRules(structure, rules, tuple(treatments), tuple(deciding))
