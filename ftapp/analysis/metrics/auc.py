"""The area under the ROC curve: how well scores put the examples of a class before all others, at any threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def measure_auc(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> float | None:
    """Measure the macro average of the areas of each class against all others; of two classes the area of the second.

    The area is the share of pairs of an example of the class and another one in which the former has the higher score;
    equal scores count half (Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve").

    Args:
        labels: The true classes, integers (examples,).
        scores: A score of each class, higher for surer, (examples, classes).

    Returns:
        The area, 0..1, averaged over the classes of which there are examples and others; None where there is no such
        class, and for scores that are not finite.
    """
    if not np.isfinite(scores).all():
        return None
    classes = scores.shape[1]
    areas = [
        measure_area(labels == each, scores[:, each]) for each in (range(classes) if classes > 2 else range(1, classes))
    ]
    known = [area for area in areas if area is not None]
    return float(np.mean(known)) if known else None


def measure_area(is_positive: NDArray[np.bool_], scores: NDArray[np.floating]) -> float | None:
    """Measure the area under the ROC curve of one class, from the ranks of its scores (Mann & Whitney 1947).

    Args:
        is_positive: Whether each example is of the class, (examples,).
        scores: The scores of the class, finite, (examples,).

    Returns:
        The area, 0..1; None where all examples are of the class, or none is.
    """
    positives = int(is_positive.sum())
    negatives = len(is_positive) - positives
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # from 1; equal scores share their mean rank
    return float((ranks[is_positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))
