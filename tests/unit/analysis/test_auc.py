"""The area under the ROC curve agrees with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ftapp.analysis.metrics.auc import measure_auc


@pytest.mark.parametrize("decimals", [1, 6])
def test_two_classes(decimals: int) -> None:
    """With few decimals, many scores are equal."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 200)
    scores = np.clip(random.normal(0.4 + 0.2 * labels, 0.3), 0, 1).round(decimals).astype(np.float32)
    both = np.stack([1 - scores, scores], axis=1)
    assert measure_auc(labels, both) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_each_class_against_all_others() -> None:
    random = np.random.default_rng(1)
    labels = random.choice(4, 300, p=[0.6, 0.2, 0.15, 0.05])
    scores = random.dirichlet(np.ones(4), 300)
    scores[np.arange(300), labels] += 0.3
    scores /= scores.sum(axis=1, keepdims=True)
    expected = roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    assert measure_auc(labels, scores) == pytest.approx(expected, abs=1e-12)


def test_classes_without_examples_do_not_count() -> None:
    scores = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.6, 0.1, 0.3]])
    assert measure_auc(np.array([0, 1, 0]), scores) == 1.0
    assert measure_auc(np.array([1, 1, 1]), scores) is None
    assert measure_auc(np.array([0, 1, 0]), np.where(scores == 0.1, np.nan, scores)) is None


def test_a_constant_score_is_no_better_than_chance() -> None:
    assert measure_auc(np.array([0, 1, 1]), np.full((3, 2), 0.5)) == 0.5
