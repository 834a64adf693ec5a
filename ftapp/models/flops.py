"""What a model costs, call by call, from shapes alone: floating-point operations and activations of one example.

The model runs once on tensors without values, so nothing heavy is computed and its weights are not touched.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from ftapp.models.keras_internals import flatten_layers
from ftapp.models.layers import own_variables

# Mean, variance, the two of them applied, scale and offset: a few operations for each element that is normalized.
_NORMALIZATION_FLOPS = 5


@dataclass(frozen=True)
class Cost:
    """The cost of a layer itself for one example, without layers inside.

    Attributes:
        flops: Floating-point operations of the forward pass; a multiply-add counts as 2.
        activations: Elements of its output tensors.
    """

    flops: int = 0
    activations: int = 0


@dataclass(frozen=True)
class Call:
    """One call of a layer, or of an operation of the model's graph (a slice, a sum), for one example.

    Attributes:
        layer: The layer or operation.
        cost: The cost of the call.
        weighted: Whether the layer holds weights of its own.
        begun: The number of calls that had ended when this one began. In a list of calls ordered by their ends, the
            calls inside of the one at index i are those from begun to i - 1.
        shape: The shape of an example in the first output tensor; None without one.
    """

    layer: Any
    cost: Cost
    weighted: bool
    begun: int
    shape: tuple[int, ...] | None


def measure(model: Any, size: Sequence[int]) -> list[Call]:
    """List the calls that a model makes for one example in inference, at any depth, in the order of their ends.

    FLOPs counted: products with kernels (dense, convolution) and with a reversed embedding, an attention layer's
    products of queries with keys and of scores with values, and about 5 an element for normalization. Lookups, biases,
    activation functions, pooling and sums count nothing; neither do DeBERTa's products with relative positions.
    Activations counted: the outputs of each layer and operation, once where a layer passes on the output of a layer
    inside, and an attention layer's scores. Dropout's outputs count, since training computes them anew.

    Args:
        model: A Functional model, which stays as it is, also when this raises.
        size: The first dimensions of an example, for those that the model's inputs leave open: (tokens,) or
            (height, width).

    Raises:
        ValueError: `size` contradicts the inputs or leaves a dimension open.
        Exception: The model itself refuses inputs of that size.
    """
    inputs = keras.tree.map_structure(lambda tensor: _example(tensor, size), model.input)
    calls: list[tuple[Call, list[Any]]] = []

    def run(tensors: Any) -> Any:
        # Keras's PyTorch backend calls this a second time on real tensors where an operation has no shape inference.
        calls.clear()
        return model(tensors, training=False)

    probe = keras.Operation(name="costs")
    probe.call = run
    with _calls_recorded(model, calls):
        probe.compute_output_spec(inputs)
    return [call for call, _ in calls]


def outermost(calls: Sequence[Call]) -> list[range]:
    """Return the outermost calls in the order of their ends: for each the indices of the calls inside, and its own."""
    found, index = [], len(calls) - 1
    while index >= 0:
        found.append(range(calls[index].begun, index + 1))
        index = calls[index].begun - 1
    return found[::-1]


def by_layer(calls: Iterable[Call]) -> dict[Any, Cost]:
    """Sum the cost of each layer or operation over all its calls, in the order of their first ends."""
    costs: dict[Any, Cost] = {}
    for call in calls:
        cost = costs.get(call.layer, Cost())
        costs[call.layer] = Cost(cost.flops + call.cost.flops, cost.activations + call.cost.activations)
    return costs


def training_flops(calls: Sequence[Call], trainable: Collection[Any], biased: Collection[Any] = ()) -> int:
    """Count the FLOPs of a training step for one example, forward and backward, without optimizer and loss.

    Gradients of weights cost as much as the forward pass of their layer, for layers that train. Gradients of inputs
    cost as much again, and twice that for an attention layer's products, both factors of which are activations. A call
    needs them if it may depend on weights that train: if another layer that trains was called before it, around it or
    inside of it. So the backward pass ends at the first weights that train. The count is an upper bound: a frozen
    branch beside one that trains is counted although it depends on no weights that train.

    Args:
        calls: The calls of `measure`.
        trainable: The layers of whose own weights some train.
        biased: Those among them of which biases alone train, whose gradients are sums and not counted.
    """
    wanted = {id(layer) for layer in trainable}
    kernels = wanted - {id(layer) for layer in biased}
    training = [call for call in calls if call.weighted and id(call.layer) in wanted]
    total = 0
    for index, call in enumerate(calls):
        total += call.cost.flops
        if call.weighted and id(call.layer) in kernels:
            total += call.cost.flops
        if any(other.begun <= index for other in training if other is not call):
            total += call.cost.flops * (1 if call.weighted else 2)
    return total


def _example(tensor: Any, size: Sequence[int]) -> Any:
    """An input of the model for one example, with its open dimensions set. tensor: the model's symbolic input."""
    shape = list(tensor.shape[1:])
    if len(size) > len(shape) or any(own not in (None, given) for own, given in zip(shape, size, strict=False)):
        raise ValueError(f"an example of size {tuple(size)} does not fit the model's inputs {tensor.shape}")
    shape[: len(size)] = size
    if None in shape:
        raise ValueError(f"the size {tuple(size)} of an example leaves dimensions of {tensor.shape} open")
    return keras.KerasTensor((1, *shape), dtype=tensor.dtype)


def _operations(model: Any) -> list[Any]:
    """The model, all layers in it, and the operations of its graph and of graphs in it, each once."""
    layers = flatten_layers(model)
    graphs = [layer for layer in layers if isinstance(layer, keras.Function)]
    found = [*layers, *(operation for graph in graphs for operation in graph.operations)]
    return list({id(each): each for each in found}.values())


@contextlib.contextmanager
def _calls_recorded(model: Any, calls: list[tuple[Call, list[Any]]]) -> Iterator[None]:
    """Append each call inside the model, with the tensors it put out, to `calls`; undo all marks of it afterwards."""
    operations = _operations(model)
    # Calls leave marks of Keras's own on layers too (`_called`, `_parent_path`). All go through `__dict__`, since
    # assigning an attribute would make a layer track its value.
    before = [dict(operation.__dict__) for operation in operations]
    try:
        for operation in operations:
            if operation is not model:
                operation.__dict__["call"] = _record(operation, operation.call, calls)
        yield
    finally:
        for operation, attributes in zip(operations, before, strict=True):
            operation.__dict__.update(attributes)
            for name in operation.__dict__.keys() - attributes.keys():
                del operation.__dict__[name]


def _record(operation: Any, call: Any, calls: list[tuple[Call, list[Any]]]) -> Any:
    weighted = isinstance(operation, keras.Layer) and bool(own_variables(operation))

    @functools.wraps(call)
    def recording(*args: Any, **kwargs: Any) -> Any:
        begun = len(calls)
        result = call(*args, **kwargs)
        inputs, outputs = _tensors((args, kwargs)), _tensors(result)
        cost = _cost(operation, inputs, outputs, list(_inner(calls, begun)))
        shape = tuple(outputs[0].shape[1:]) if outputs else None
        calls.append((Call(operation, cost, weighted, begun, shape), outputs))
        return result

    return recording


def _inner(calls: Sequence[tuple[Call, list[Any]]], begun: int) -> Iterator[tuple[Call, list[Any]]]:
    """The calls from index `begun` on that lie in no other of them, the last first."""
    index = len(calls) - 1
    while index >= begun:
        yield calls[index]
        index = calls[index][0].begun - 1


def _cost(
    operation: Any, inputs: Sequence[Any], outputs: Sequence[Any], inner: Sequence[tuple[Call, list[Any]]]
) -> Cost:
    """inner: the calls right inside of the operation, with their outputs."""
    if not inner:
        return Cost(_flops(operation, inputs, outputs), sum(map(_elements, outputs)))
    known = [*inputs, *(tensor for _, tensors in inner for tensor in tensors)]
    own = [tensor for tensor in outputs if not any(tensor is each for each in known)]
    attention = _attention(inner)
    return Cost(attention.flops, attention.activations + sum(map(_elements, own)))


def _attention(inner: Sequence[tuple[Call, list[Any]]]) -> Cost:
    """The products of an attention layer, which Keras and KerasHub build of layers named query, key and value.

    They put out (1, positions..., heads, head size).
    """
    shapes = {
        call.layer.name: tensors[0].shape
        for call, tensors in inner
        if call.layer.name in ("query", "key", "value") and len(tensors[0].shape) >= 4
    }
    if len(shapes) < 3:
        return Cost()
    query, key, value = (shapes[name] for name in ("query", "key", "value"))
    scores = math.prod(query[:-1]) * math.prod(key[1:-2])
    softmax = any(isinstance(call.layer, keras.layers.Softmax) for call, _ in inner)
    return Cost(2 * scores * (query[-1] + value[-1]), 0 if softmax else scores)


def _flops(operation: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """FLOPs of the call of an operation that calls no layers."""
    layers = keras.layers
    if "Norm" in type(operation).__name__:
        return _NORMALIZATION_FLOPS * _elements(outputs[0])
    if isinstance(operation, layers.ReversibleEmbedding):
        # A lookup gives each token a vector; reversed, each vector gets a score for each word.
        words: int = operation.input_dim
        return 0 if len(outputs[0].shape) > len(inputs[0].shape) else 2 * _elements(inputs[0]) * words
    if isinstance(operation, layers.SeparableConv1D | layers.SeparableConv2D):
        filters: int = operation.filters
        kernels = _elements(operation.depthwise_kernel) + _elements(operation.pointwise_kernel)
        return 2 * kernels * (_elements(outputs[0]) // filters)
    kernel = getattr(operation, "kernel", None)
    if kernel is None:
        return 0
    shape: tuple[int, ...] = tuple(kernel.shape)
    if isinstance(operation, layers.EinsumDense):
        left, right = operation.equation.partition("->")[0].split(",")
        columns = [length for letter, length in zip(right.strip(), shape, strict=True) if letter not in left]
        return 2 * _elements(inputs[0]) * math.prod(columns)
    if isinstance(operation, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        return 2 * _elements(outputs[0]) * math.prod(shape[:-2])
    if isinstance(operation, layers.Conv1DTranspose | layers.Conv2DTranspose | layers.Conv3DTranspose):
        return 2 * math.prod(shape) * (_elements(inputs[0]) // shape[-1])
    # Dense and convolution, in groups or not: at each position an output channel for each of the kernel's columns.
    return 2 * math.prod(shape) * (_elements(outputs[0]) // shape[-1])


def _tensors(structure: Any) -> list[Any]:
    return [each for each in keras.tree.flatten(structure) if hasattr(each, "shape")]


def _elements(tensor: Any) -> int:
    return math.prod(tensor.shape)
