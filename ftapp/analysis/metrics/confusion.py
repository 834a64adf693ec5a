"""The confusion matrix: how often each class was taken for each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_CLASSES = 100


def count_confusion(truth: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Count how often each class was taken for each.

    Args:
        truth: the true classes, integers (examples,).
        predicted: the predicted classes, integers (examples,).
        classes: how many classes there are.

    Returns:
        (classes, classes), int64: rows are the true classes, columns the predicted ones.
    """
    pairs = truth.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
