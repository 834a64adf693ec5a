"""Confusion, precision, recall and F1 agree with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from ftapp.analysis.metrics.confusion import count_confusion
from ftapp.analysis.metrics.scores import score_classes


def test_scores_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 4, 200), random.integers(0, 3, 200)  # nothing is taken for the last class
    made = score_classes(count_confusion(truth, predicted, 4))
    assert (count_confusion(truth, predicted, 4) == confusion_matrix(truth, predicted, labels=range(4))).all()
    expected = precision_recall_fscore_support(truth, predicted, labels=range(4), zero_division=0)
    for ours, theirs in zip((made.precision, made.recall, made.f1, made.examples), expected, strict=True):
        assert ours == pytest.approx(theirs)
    macro = precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0)
    assert made.mean() == pytest.approx(macro[:3])


def test_classes_without_examples_do_not_count() -> None:
    made = score_classes(np.array([[4, 0], [0, 0]]))
    assert made.mean() == (1, 1, 1)
    assert score_classes(np.zeros((2, 2), np.int64)).mean() == (0, 0, 0)
