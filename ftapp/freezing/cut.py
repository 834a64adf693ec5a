"""A model cut in two: the frozen layers at the bottom, which compute the same at each step, and the rest, which trains.

The cut leaves as many layers below as the graph of a Functional model allows: a layer is above the cut if it trains, or
if its inputs come from above. Tensors that skip layers, such as masks, cross the cut beside the features.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import keras

from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models.graph import make_rest
from ftapp.models.heads import NORMALIZATION
from ftapp.models.keras_internals import flatten_layers, graph_nodes, is_functional
from ftapp.models.layers import has_dropout, own_variables


@dataclass(frozen=True)
class Boundary:
    """The place where a model can be cut.

    Attributes:
        features: The tensors that cross the cut and are cached, by their names in the halves.
        layers: The names of the layers below that hold weights, from the bottom up.
        above: The name of the first layer above.
        below: The nodes of the model's graph below.
    """

    features: dict[str, Any]
    layers: tuple[str, ...]
    above: str
    below: tuple[Any, ...]


@dataclass(frozen=True)
class Cut:
    """A model in two halves that share its layers and weights.

    Attributes:
        frozen: The half from the model's inputs to a dict of features, each (batch, ...) or (batch, tokens, ...).
        rest: The half from a dict of the features and of the inputs in `passed` to the model's output.
        passed: The names of the model's own inputs that the rest needs too.
        layers: The names of the frozen half's layers that hold weights, from the bottom up.
        above: The name of the first layer of the rest.
        plain: The frozen half's layers without weights.
    """

    frozen: keras.Model
    rest: keras.Model
    passed: tuple[str, ...]
    layers: tuple[str, ...]
    above: str
    plain: tuple[Any, ...]

    @property
    def features(self) -> dict[str, Any]:
        """The outputs of the frozen half, by name."""
        outputs: dict[str, Any] = self.frozen.output
        return outputs


def cut(model: keras.Model, plan: LayerPlan, *, dropout: bool) -> Cut | str:
    """Cut the model above its frozen layers.

    Args:
        model: A Functional model.
        plan: What trains in it.
        dropout: Whether dropout in frozen layers stays on. Such layers compute something else at each step, so they are
            above the cut.

    Returns:
        The halves, or the reason why the model stays whole.
    """
    found = find_boundary(model, plan, dropout=dropout)
    return found if isinstance(found, str) else _halves(model, found)


def find_boundary(model: keras.Model, plan: LayerPlan, *, dropout: bool) -> Boundary | str:
    """Find where `cut` cuts, or why it does not, without building the halves."""
    if not is_functional(model):
        return "the model is not Functional, so it has no graph to cut"
    nodes = graph_nodes(model)
    trained = {id(decision.layer) for decision in plan.decisions if decision.trained}
    banned: set[int] = set()
    while True:
        below, above, reason = _below(nodes, trained, banned, dropout=dropout)
        if not any(own_variables(layer) for node in below for layer in _layers(node)):
            return f"nothing is frozen at the bottom: {above} {reason}".rstrip()
        crossing = _crossing(nodes, below, model.outputs)
        awkward = [node for node in below if any(id(t) in crossing and not _is_row(t) for t in node.outputs)]
        if not awkward:
            break
        # A tensor that varies in more than its number of tokens cannot be stored as rows, so the cut moves below it.
        banned |= {id(node) for node in awkward}
    kept = [tensor for node in below for tensor in node.outputs if id(tensor) in crossing]
    holding = [node.operation.name for node in below if any(own_variables(layer) for layer in _layers(node))]
    return Boundary(
        features={f"features_{index}": tensor for index, tensor in enumerate(kept)},
        layers=tuple(dict.fromkeys(holding)),
        above=above,
        below=tuple(below),
    )


def _below(nodes: Sequence[Any], trained: Set[int], banned: set[int], *, dropout: bool) -> tuple[list[Any], str, str]:
    """Find the frozen nodes that only frozen nodes feed.

    Returns:
        These nodes in the graph's order, the name of the first other node's layer, and why it is not one of them.
    """
    known: set[int] = set()
    below, above, why = [], "", ""
    for node in nodes:
        if not node.is_input:
            reason = _obstacle(node, trained, dropout=dropout) or (
                "its output has no fixed size" if id(node) in banned else ""
            )
            if reason or not all(id(tensor) in known for tensor in node.input_tensors):
                above, why = (above, why) if above else (node.operation.name, reason)
                continue
            below.append(node)
        known |= {id(tensor) for tensor in node.outputs}
    return below, above, why


def _obstacle(node: Any, trained: Set[int], *, dropout: bool) -> str:
    """Return why a node is not in the frozen half; empty when it may be."""
    if node.operation.name == NORMALIZATION:  # frozen or not, so that the cached features do not depend on them
        return "holds statistics of these data"
    if any(id(layer) in trained for layer in _layers(node)):
        return "trains"
    if dropout and any(map(has_dropout, _layers(node))):
        return "is random, since dropout stays on in frozen layers (frozen.dropout)"
    return ""


def _layers(node: Any) -> Iterable[Any]:
    """Return the layer of a node with all layers inside; none for a bare operation."""
    return flatten_layers(node.operation) if isinstance(node.operation, keras.Layer) else ()


def _crossing(nodes: Sequence[Any], below: Sequence[Any], outputs: Sequence[Any]) -> set[int]:
    """Return the ids of the tensors that go from `below` to the other nodes and are cached.

    Tensors that follow from the inputs without any weights (masks, casts) are computed anew in the rest instead.
    """
    inside = {id(node) for node in below}
    weightless = {id(tensor) for node in nodes if node.is_input for tensor in node.outputs}
    for node in below:
        if not any(own_variables(layer) for layer in _layers(node)) and all(
            id(tensor) in weightless for tensor in node.input_tensors
        ):
            weightless |= {id(tensor) for tensor in node.outputs}
    computed = {id(tensor) for node in below for tensor in node.outputs} - weightless
    read = {
        id(tensor) for node in nodes if not node.is_input and id(node) not in inside for tensor in node.input_tensors
    }
    return computed & (read | {id(tensor) for tensor in outputs})


def _is_row(tensor: Any) -> bool:
    """Whether a tensor has a fixed size for each example, or for each token."""
    return None not in tensor.shape[2:]


def _halves(model: keras.Model, found: Boundary) -> Cut:
    rest = make_rest(model, found.features)
    plain = [
        node.operation
        for node in found.below
        if isinstance(node.operation, keras.layers.Layer) and not node.operation.weights and not node.is_input
    ]
    return Cut(
        frozen=keras.Model(model.input, found.features, name="frozen"),
        rest=rest,
        passed=tuple(name for name in rest.input if name not in found.features),
        layers=found.layers,
        above=found.above,
        plain=tuple(plain),
    )
