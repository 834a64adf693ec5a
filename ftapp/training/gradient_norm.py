"""The norm of the gradient: how long the vector of all gradients of a step is, before it is clipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


def watch_norm(base: Any) -> Any:
    """Make a class of an optimizer class with hooks that remembers the norm of the gradients of its last update.

    Its attribute `gradient_norm` is a float32 scalar of the backend's from the update to the end of the same step, and
    None before.
    """

    class Watched(base):
        gradient_norm: Any = None

        def clip_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
            self.gradient_norm = compute_norm(gradients)
            clipped: Sequence[Any] = super().clip_gradients(gradients)
            return clipped

    return Watched


def take_norm(optimizer: Any) -> Any:
    """Take the norm from a watched optimizer, which forgets it: a compiled function must not meet it twice.

    Returns:
        The norm. None for other optimizers, such as those that scale the loss (float16), and outside of a step.
    """
    found = getattr(optimizer, "gradient_norm", None)
    if found is not None:
        optimizer.gradient_norm = None
    return found


def compute_norm(gradients: Sequence[Any]) -> Any:
    """Compute the Euclidean norm of all gradients as one vector, float32; None among them are left out."""
    dense = [keras.ops.cast(each, "float32") for each in gradients if each is not None]
    flat = [keras.ops.reshape(each, (-1,)) for each in dense]  # torch takes products of vectors alone
    squares = [keras.ops.vdot(each, each) for each in flat]  # without a copy of the gradient for its squares
    return keras.ops.sqrt(sum(squares))
