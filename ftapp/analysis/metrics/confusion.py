"""The confusion matrix: how often each class was taken for each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_CLASSES = 100


def confusion(truth: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Counts (classes, classes), int64: rows are the true classes, columns the predicted ones."""
    pairs = truth.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
