"""Scores of regression against scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from ftapp.analysis.metrics.numbers import score_numbers


def test_scores_equal_those_of_scikit_learn_and_scipy() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(1, 11, 100).astype(np.float32)
    answers = (truth + random.normal(0, 2, 100)).astype(np.float32)
    assert score_numbers(truth, answers) == pytest.approx(
        {
            "mae": mean_absolute_error(truth, answers),
            "rmse": root_mean_squared_error(truth, answers),
            "r2": r2_score(truth, answers),
            "spearman": spearmanr(truth, answers).statistic,
        },
        rel=1e-6,
    )


def test_constant_sides_have_no_correlation() -> None:
    numbers = np.array([1.0, 2.0, 3.0])
    found = score_numbers(numbers, np.full(3, 2.0))
    assert (found["r2"], found["spearman"]) == (0.0, 0.0)
    assert score_numbers(np.full(3, 2.0), numbers)["r2"] == 0.0
