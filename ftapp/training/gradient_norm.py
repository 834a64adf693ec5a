"""The norm of the gradient: how long the vector of all gradients of a step is, before it is clipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


def watched(base: Any) -> Any:
    """`base`, an optimizer class with hooks, that remembers the norm of the gradients of its last update.

    gradient_norm: a float32 scalar of the backend's, there from the update to the end of the same step; None before.
    """

    class Watched(base):
        gradient_norm: Any = None

        def clip_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
            self.gradient_norm = norm(gradients)
            clipped: Sequence[Any] = super().clip_gradients(gradients)
            return clipped

    return Watched


def taken(optimizer: Any) -> Any:
    """The norm that a watched optimizer remembers, which it forgets: a compiled function must not meet it twice.

    None of other optimizers, of those that scale the loss (float16) among them, and outside of a training step.
    """
    found = getattr(optimizer, "gradient_norm", None)
    if found is not None:
        optimizer.gradient_norm = None
    return found


def norm(gradients: Sequence[Any]) -> Any:
    """The Euclidean norm of all gradients as one vector, float32; None among them are left out."""
    dense = [_dense(each) for each in gradients if each is not None]
    squares = [keras.ops.vdot(each, each) for each in dense]  # without a copy of the gradient for its squares
    return keras.ops.sqrt(sum(squares))


def _dense(gradient: Any) -> Any:
    """A gradient in float32. That of an embedding may come as slices, with several for one row."""
    return keras.ops.cast(keras.ops.convert_to_tensor(gradient, sparse=False), "float32")
