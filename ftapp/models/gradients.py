"""Gradients of a model's scores with respect to one of its inputs, by each backend's own means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Score = Callable[[Any, Any], Any]
"""Computes a score (examples,) from a model's outputs (examples, outputs) and weights of them (examples, outputs)."""
Gradient = Callable[[Mapping[str, NDArray[Any]], NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Computes scores and gradients from a model's inputs by name, and from weights of its outputs (examples, outputs).

The scores are float32 (examples,), the gradients float32 of the shape of the input.
"""


def make_gradient(model: keras.Model, name: str, score: Score) -> Gradient:
    """Make the function that computes the gradient of scores.

    Layers compute as in inference. TensorFlow compiles the function once, and JAX for each shape of the inputs.

    Args:
        model: A model with a dict of inputs, which is not changed.
        name: The input with respect to which the gradient is computed.
        score: The score, in operations of Keras.

    Returns:
        The function.
    """
    compute = {"tensorflow": _use_tensorflow, "jax": _use_jax, "torch": _use_torch}[keras.backend.backend()](
        model, name, score
    )

    def gradient(
        inputs: Mapping[str, NDArray[Any]], chosen: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        tensors = {
            tensor.name: keras.ops.convert_to_tensor(inputs[tensor.name], dtype=tensor.dtype) for tensor in model.inputs
        }
        found = compute(tensors, keras.ops.convert_to_tensor(chosen))
        scores, gradients = (keras.ops.convert_to_numpy(keras.ops.cast(each, "float32")) for each in found)
        return scores, gradients

    return gradient


def _use_tensorflow(model: keras.Model, name: str, score: Score) -> Callable[..., Any]:
    import tensorflow

    def compute(inputs: dict[str, Any], chosen: Any) -> Any:
        with tensorflow.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs[name])
            scores = score(model(inputs, training=False), chosen)
        return scores, tape.gradient(scores, inputs[name])

    inputs = {tensor.name: tensorflow.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs}
    signature = (inputs, tensorflow.TensorSpec((None, None), "float32"))
    return tensorflow.function(compute, autograph=False, input_signature=signature)  # type: ignore[no-any-return]


def _use_jax(model: keras.Model, name: str, score: Score) -> Callable[..., Any]:
    import jax

    # The weights are arguments: XLA would fold constants of their size into the program.
    def compute(trainable: Any, others: Any, inputs: dict[str, Any], chosen: Any) -> Any:
        def add_up(watched: Any) -> Any:
            outputs, _ = model.stateless_call(trainable, others, {**inputs, name: watched}, training=False)
            scores = score(outputs, chosen)
            return scores.sum(), scores

        (_, scores), gradients = jax.value_and_grad(add_up, has_aux=True)(inputs[name])
        return scores, gradients

    compiled = jax.jit(compute)

    def use_weights(inputs: dict[str, Any], chosen: Any) -> Any:
        trainable = [each.value for each in model.trainable_variables]
        return compiled(trainable, [each.value for each in model.non_trainable_variables], inputs, chosen)

    return use_weights


def _use_torch(model: keras.Model, name: str, score: Score) -> Callable[..., Any]:
    import torch

    def compute(inputs: dict[str, Any], chosen: Any) -> Any:
        with torch.enable_grad():
            watched = inputs[name].detach().requires_grad_()
            scores = score(model({**inputs, name: watched}, training=False), chosen)
            (gradients,) = torch.autograd.grad(scores.sum(), watched)
        return scores.detach(), gradients

    return compute
