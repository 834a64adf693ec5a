"""Precision, recall and F1 of each class, from a confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Each (classes,), float64, in 0..1. examples: how many there are of each class, int64.

    precision: the share of what was taken for the class that is of it; recall: the share of the class that was taken
    for it; f1: their harmonic mean. Where nothing was taken for a class, or there is none of it, they are 0.
    """

    precision: Values
    recall: Values
    f1: Values
    examples: NDArray[np.int64]

    def mean(self) -> tuple[float, float, float]:
        """Precision, recall and F1 averaged over the classes that there are examples of, each class counting alike."""
        there = self.examples > 0
        if not there.any():
            return 0.0, 0.0, 0.0
        precision, recall, f1 = (float(each[there].mean()) for each in (self.precision, self.recall, self.f1))
        return precision, recall, f1


def scores(counts: NDArray[np.int64]) -> Scores:
    """From counts (classes, classes): rows are the true classes, columns the predicted ones."""
    right = np.diag(counts).astype(np.float64)
    taken, there = counts.sum(axis=0), counts.sum(axis=1)
    return Scores(_share(right, taken), _share(right, there), _share(2 * right, taken + there), there)


def _share(part: Values, whole: NDArray[np.int64]) -> Values:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
