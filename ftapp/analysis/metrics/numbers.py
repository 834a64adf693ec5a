"""Scores of regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.recipe.metrics import MEAN_ABSOLUTE_ERROR, R_SQUARED, ROOT_MEAN_SQUARED_ERROR, SPEARMAN


def score_numbers(truth: NDArray[Any], answers: NDArray[Any]) -> dict[str, float]:
    """Measure how far answers are from the truth.

    Args:
        truth: The true numbers, (examples,).
        answers: The model's numbers, (examples,).

    Returns:
        By name of metric (`ftapp.recipe.metrics`): mean absolute error and root mean squared error, in the unit of the
        numbers; R², the share of the variance that the answers explain, 1 at best and without a lower bound; and
        Spearman's rank correlation, -1 to 1. R² is 0 where all true numbers are equal, and so is the correlation where
        one side is constant.
    """
    truth, answers = truth.astype(np.float64), answers.astype(np.float64)
    error = answers - truth
    variance = float(((truth - truth.mean()) ** 2).mean())
    squared = float((error**2).mean())
    return {
        MEAN_ABSOLUTE_ERROR.name: float(np.abs(error).mean()),
        ROOT_MEAN_SQUARED_ERROR.name: squared**0.5,
        R_SQUARED.name: 1 - squared / variance if variance else 0.0,
        SPEARMAN.name: _correlate_ranks(truth, answers),
    }


def _correlate_ranks(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if not np.ptp(one) or not np.ptp(other) or not np.isfinite(other).all():
        return 0.0
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)
