"""Precision, recall and F1 of each class, from a confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1, each (classes,), float64, in 0..1.

    They are 0 where no example was taken for a class, or where the class has no example.

    Attributes:
        precision: the share of the examples taken for the class that belong to it.
        recall: the share of the class's examples that were taken for it.
        f1: the harmonic mean of both.
        examples: how many examples each class has, int64.
    """

    precision: Values
    recall: Values
    f1: Values
    examples: NDArray[np.int64]

    def mean(self) -> tuple[float, float, float]:
        """Average precision, recall and F1 over the classes that have examples. Each class counts alike."""
        there = self.examples > 0
        if not there.any():
            return 0.0, 0.0, 0.0
        precision, recall, f1 = (float(each[there].mean()) for each in (self.precision, self.recall, self.f1))
        return precision, recall, f1


def score_classes(counts: NDArray[np.int64]) -> ClassScores:
    """Score each class by a confusion matrix.

    Args:
        counts: (classes, classes); rows are the true classes, columns the predicted ones.
    """
    right = np.diag(counts).astype(np.float64)
    taken, there = counts.sum(axis=0), counts.sum(axis=1)
    return ClassScores(_share(right, taken), _share(right, there), _share(2 * right, taken + there), there)


def _share(part: Values, whole: NDArray[np.int64]) -> Values:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
