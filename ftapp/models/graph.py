"""Parts of a Functional model's graph, called again on other tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from ftapp.models.keras_internals import graph_nodes


def find_feeding(model: Any, outputs: Sequence[Any], known: Iterable[int] = ()) -> list[Any]:
    """Find the nodes that compute tensors from the model's inputs and from known tensors, in the graph's order.

    Args:
        model: The Functional model.
        outputs: Tensors of its graph.
        known: The ids of the tensors that are known.
    """
    nodes, given = graph_nodes(model), set(known)
    needed, chosen = {id(tensor) for tensor in outputs} - given, set()
    for node in reversed(nodes):
        if not node.is_input and any(id(tensor) in needed for tensor in node.outputs):
            chosen.add(id(node))
            needed |= {id(tensor) for tensor in node.input_tensors} - given
    return [node for node in nodes if id(node) in chosen]


def call_again(nodes: Iterable[Any], known: dict[int, Any]) -> None:
    """Call the operations of nodes on other tensors than before.

    Args:
        nodes: The nodes, in the graph's order.
        known: New tensors by the ids of the old ones. Gets the outputs of the nodes.
    """
    for node in nodes:
        args, kwargs = node.arguments.fill_in(known)
        outputs = keras.tree.flatten(node.operation(*args, **kwargs))
        known |= {id(old): new for old, new in zip(node.outputs, outputs, strict=True)}


def nest_backbone(model: keras.Model, backbone: Any) -> keras.Model:
    """Make a model that calls a backbone as one layer, where a model has all of its layers one by one.

    Args:
        model: A Functional model on the outputs of the backbone.
        backbone: The backbone.

    Returns:
        A model of the same layers and weights; the model itself where it reads an inner tensor of the backbone.
    """
    wanted = find_feeding(model, model.outputs, map(id, backbone.outputs))
    inside = {id(layer) for layer in backbone.layers}
    if any(id(node.operation) in inside for node in wanted):
        return model
    fresh = [keras.Input(batch_shape=old.shape, dtype=old.dtype, name=old.name) for old in backbone.inputs]
    inputs = keras.tree.pack_sequence_as(backbone.input, fresh)
    known = {id(old): new for old, new in zip(backbone.outputs, keras.tree.flatten(backbone(inputs)), strict=True)}
    call_again(wanted, known)
    outputs = keras.tree.pack_sequence_as(model.output, [known[id(tensor)] for tensor in model.outputs])
    return keras.Model(inputs, outputs, name=model.name)
