"""Parts of a Functional model's graph, called again on other tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from ftapp.models.keras_internals import graph_nodes, is_functional


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
    fresh = [_make_input_like(old) for old in backbone.inputs]
    inputs = keras.tree.pack_sequence_as(backbone.input, fresh)
    known = {id(old): new for old, new in zip(backbone.outputs, keras.tree.flatten(backbone(inputs)), strict=True)}
    call_again(wanted, known)
    outputs = keras.tree.pack_sequence_as(model.output, [known[id(tensor)] for tensor in model.outputs])
    return keras.Model(inputs, outputs, name=model.name)


def inline_models(model: keras.Model) -> keras.Model:
    """Make a model of the same layers that calls the layers of Functional models in it one by one.

    Args:
        model: A Functional model, such as one of `nest_backbone`.

    Returns:
        A model without models inside, so that each of their tensors is in its graph; the model itself where there are
        none.
    """
    if not any(is_functional(node.operation) for node in graph_nodes(model)):
        return model
    inputs = {tensor.name: _make_input_like(tensor) for tensor in model.inputs}
    known = {id(tensor): inputs[tensor.name] for tensor in model.inputs}
    _call_inlined(find_feeding(model, model.outputs), known)
    fresh = keras.tree.pack_sequence_as(model.input, [inputs[tensor.name] for tensor in model.inputs])
    outputs = keras.tree.pack_sequence_as(model.output, [known[id(tensor)] for tensor in model.outputs])
    return keras.Model(fresh, outputs, name=model.name)


def _call_inlined(nodes: Iterable[Any], known: dict[int, Any]) -> None:
    """Do as `call_again`, with the nodes of a model in the place of the node that calls it."""
    for node in nodes:
        inner = node.operation
        if not is_functional(inner):
            call_again([node], known)
            continue
        given = zip(inner.inputs, keras.tree.flatten(node.arguments.fill_in(known)[0]), strict=True)
        within = {id(old): new for old, new in given}
        _call_inlined(find_feeding(inner, inner.outputs), within)
        known |= {id(old): within[id(new)] for old, new in zip(node.outputs, inner.outputs, strict=True)}


def make_rest(model: keras.Model, features: Mapping[str, Any]) -> keras.Model:
    """Make the part of a model above some of its tensors.

    Args:
        model: A Functional model.
        features: Tensors of its graph, by the names that they get as inputs of the part.

    Returns:
        A model from a dict of the features, and of those of the model's own inputs that the part needs too, to the
        model's output.
    """
    inputs = {name: _make_input_like(tensor, name) for name, tensor in features.items()}
    known = {id(tensor): inputs[name] for name, tensor in features.items()}
    wanted = find_feeding(model, model.outputs, known)
    needed = {id(tensor) for node in wanted for tensor in node.input_tensors}
    for tensor in model.inputs:
        if id(tensor) in needed and id(tensor) not in known:
            inputs[tensor.name] = known[id(tensor)] = _make_input_like(tensor)
    call_again(wanted, known)
    outputs = keras.tree.pack_sequence_as(model.output, [known[id(tensor)] for tensor in model.outputs])
    return keras.Model(inputs, outputs, name=model.name)


def _make_input_like(tensor: Any, name: str | None = None) -> Any:
    """Make an input of the shape and type of a tensor, for any number of examples."""
    return keras.Input(batch_shape=(None, *tensor.shape[1:]), dtype=tensor.dtype, name=name or tensor.name)
