"""Scores of multi-label classification against scikit-learn, and thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from ftapp.analysis.metrics.sets import choose_thresholds, score_sets


@pytest.fixture
def made() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    truth = random.random((200, 4)) < [0.5, 0.2, 0.05, 0.0]
    scores = np.clip(truth * 0.3 + random.random((200, 4)) * 0.7, 0, 1).astype(np.float32)
    return truth, scores


def test_scores_equal_those_of_scikit_learn(made: tuple[np.ndarray, np.ndarray]) -> None:
    truth, scores = made
    found = score_sets(truth, scores, np.full(4, 0.5))
    answers = scores >= 0.5
    assert found.f1[:3] == pytest.approx(f1_score(truth, answers, average=None)[:3])
    assert found.precision[:3] == pytest.approx(precision_score(truth, answers, average=None)[:3])
    assert found.recall[:3] == pytest.approx(recall_score(truth, answers, average=None)[:3])
    assert found.micro_f1 == pytest.approx(f1_score(truth, answers, average="micro"))
    assert found.macro_f1 == pytest.approx(f1_score(truth[:, :3], answers[:, :3], average="macro"))
    expected = average_precision_score(truth[:, :3], scores[:, :3], average="macro")
    assert found.mean_average_precision == pytest.approx(expected)


def test_a_class_without_examples_counts_in_no_mean(made: tuple[np.ndarray, np.ndarray]) -> None:
    found = score_sets(*made, np.full(4, 0.5))
    assert np.isnan(found.average_precision[3])
    assert found.examples[3] == 0
    assert found.macro_f1 == pytest.approx(found.f1[:3].mean())


def test_nothing_there_and_nothing_said_is_zero() -> None:
    found = score_sets(np.zeros((3, 2), bool), np.zeros((3, 2)), np.full(2, 0.5))
    assert (found.micro_f1, found.macro_f1, found.mean_average_precision) == (0.0, 0.0, 0.0)


def test_thresholds_raise_f1_and_lie_between_scores(made: tuple[np.ndarray, np.ndarray]) -> None:
    truth, scores = made
    thresholds = choose_thresholds(truth, scores, 0.5)
    before, after = score_sets(truth, scores, np.full(4, 0.5)), score_sets(truth, scores, thresholds)
    assert (after.f1[:3] >= before.f1[:3]).all()
    assert after.macro_f1 > before.macro_f1
    for at in range(3):
        assert ((scores[:, at] < thresholds[at]) == (scores[:, at] <= thresholds[at] - 1e-9)).all()


def test_classes_of_few_examples_keep_the_usual_threshold() -> None:
    truth = np.zeros((50, 3), bool)
    truth[:4, 0], truth[:5, 1], truth[:46, 2] = True, True, True
    scores = np.where(truth, 0.3, 0.1).astype(np.float32)
    assert choose_thresholds(truth, scores, 0.5).tolist() == pytest.approx([0.5, 0.2, 0.5])
