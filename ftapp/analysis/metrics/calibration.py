"""Calibration: whether a classifier is right as often as its probabilities say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 10
"""Ranges of confidence of equal width, from 0 to 1."""


def bin_confidences(confidence: NDArray[np.floating], is_right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Count examples by ranges of confidence. The counts of several batches add up.

    Args:
        confidence: the probability of the predicted class, (examples,).
        is_right: whether that is the true class, (examples,).

    Returns:
        (BINS, 3), float64: how many examples lie in each range, the sum of their confidences, and how many are right.
    """
    known = np.nan_to_num(confidence.astype(np.float64))  # a model that diverged has none; its run fails by its loss
    place = np.clip((known * BINS).astype(np.int64), 0, BINS - 1)
    sums = [np.bincount(place, weights=column, minlength=BINS) for column in (None, confidence, is_right)]
    return np.stack(sums, axis=1).astype(np.float64)


def measure_expected_error(bins: NDArray[np.float64]) -> float:
    """Measure the expected calibration error (Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 5).

    It is the distance of accuracy and mean confidence in each range, averaged over examples.

    Args:
        bins: (BINS, 3), as `bin_confidences` counts them, of one example or more.
    """
    return float(np.abs(bins[:, 2] - bins[:, 1]).sum() / bins[:, 0].sum())
