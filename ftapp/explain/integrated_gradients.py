"""Integrated gradients: by how much each part of an input moves a score away from that of a baseline.

(Sundararajan, Taly & Yan 2017, "Axiomatic Attribution for Deep Networks", equation 1.) With the score F, the input x
and the baseline x':

    IG_i(x) = (x_i - x'_i) * integral over a from 0 to 1 of dF(x' + a (x - x')) / dx_i

Completeness: the attributions add up to F(x) - F(x'). So the error of the sum that stands for the integral is known,
and the sum takes more steps until the error is small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ftapp.models.gradients import Gradient

TOLERANCE = 0.02
"""The error that is allowed, as a share of the sizes of the attributions of all tokens or pixels together."""
_FIRST, _MOST = 18, 162  # steps; the paper finds 20 to 300 to be enough


def go_on() -> None:
    """Stop nothing."""


class Attributions(NamedTuple):
    """The attributions of an input.

    Attributes:
        values: Float32 of the input's shape, (tokens, channels) or (height, width, channels).
        score: The score of the input.
        baseline_score: The score of the baseline.
        steps: The steps of the integral.
    """

    values: NDArray[np.float32]
    score: float
    baseline_score: float
    steps: int

    @property
    def error(self) -> float:
        """By how much the sum of the attributions differs from the difference of the scores."""
        return abs(float(self.values.sum(dtype=np.float64)) - (self.score - self.baseline_score))

    @property
    def is_complete(self) -> bool:
        """Whether the attributions add up to the difference of the scores, up to TOLERANCE."""
        return self.error <= TOLERANCE * float(np.abs(self.parts).sum(dtype=np.float64))

    @property
    def parts(self) -> NDArray[np.float32]:
        """The attribution of each token or pixel, with all its channels: float32 (tokens,) or (height, width)."""
        parts: NDArray[np.float32] = self.values.sum(axis=-1)
        return parts


def integrate(
    gradient: Gradient,
    name: str,
    value: NDArray[np.float32],
    baseline: NDArray[np.float32],
    others: Mapping[str, NDArray[Any]],
    chosen: NDArray[np.float32],
    *,
    batch_size: int,
    check: Callable[[], None] = go_on,
) -> Attributions:
    """Attribute the score of an input to its parts.

    The integral is a sum over the middles of n steps: a gradient at the baseline itself may be very large, for example
    above a normalization of zeros. n triples, and all points are used again, until the attributions are complete up to
    TOLERANCE.

    Args:
        gradient: Computes scores and gradients with respect to the input.
        name: The input's name.
        value: The input of one example, float32 (tokens, channels) or (height, width, channels).
        baseline: The baseline, of the same shape.
        others: The other inputs of the model, one example each.
        chosen: Weights of the model's outputs, float32 (outputs,).
        batch_size: Points of the path that are computed at once.
        check: Called before each batch; it may raise, to stop.
    """
    difference = value - baseline

    def compute(points: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Compute the scores at points of the path, (points,), and the sum of the gradients there."""
        scores, total = [], np.zeros(value.shape, np.float64)
        for start in range(0, len(points), batch_size):
            check()
            some = points[start : start + batch_size].astype(np.float32)
            path = baseline + some.reshape(-1, *[1] * value.ndim) * difference
            inputs = {key: np.repeat(each[None], len(some), axis=0) for key, each in others.items()}
            found, gradients = gradient({**inputs, name: path}, np.repeat(chosen[None], len(some), axis=0))
            scores.append(found)
            total += gradients.sum(axis=0, dtype=np.float64)
        return np.concatenate(scores), total

    (first, last), _ = compute(np.array([0.0, 1.0]))
    steps, total = _FIRST, compute(_find_middles(_FIRST))[1]
    while True:
        values = (difference * total / steps).astype(np.float32)
        found = Attributions(values, float(last), float(first), steps)
        if found.is_complete or steps >= _MOST:
            return found
        steps *= 3
        middles = _find_middles(steps)
        total += compute(np.concatenate([middles[::3], middles[2::3]]))[1]


def _find_middles(steps: int) -> NDArray[np.float64]:
    middles: NDArray[np.float64] = (np.arange(steps) + 0.5) / steps
    return middles
