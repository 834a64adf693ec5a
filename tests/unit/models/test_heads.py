"""The losses of classifier heads."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from ftapp.models.heads import training_loss_for
from ftapp.models.objectives import loss_for
from ftapp.recipe.tasks import TASKS

SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)
LABELS = np.array([0, 1])


def test_label_smoothing_spreads_a_share_of_each_label_over_the_classes() -> None:
    smoothing = 0.3
    found = float(keras.ops.convert_to_numpy(training_loss_for("softmax", smoothing)(LABELS, SCORES)))
    logs = -np.log(SCORES)
    expected = (1 - smoothing) * logs[[0, 1], LABELS] + smoothing * logs.mean(axis=1)
    assert found == pytest.approx(expected.mean(), rel=1e-5)


def test_of_one_class_against_the_others_both_answers_are_smoothed() -> None:
    smoothing = 0.3
    found = float(keras.ops.convert_to_numpy(training_loss_for("one-vs-rest", smoothing)(LABELS, SCORES)))
    truth = np.eye(3)[LABELS] * (1 - smoothing) + smoothing / 2
    expected = -(truth * np.log(SCORES) + (1 - truth) * np.log(1 - SCORES))
    assert found == pytest.approx(expected.mean(), rel=1e-5)


def test_without_smoothing_it_is_the_plain_loss() -> None:
    plain, smoothed = (
        float(keras.ops.convert_to_numpy(loss(LABELS, SCORES)))
        for loss in (loss_for(TASKS["text-classification"], "softmax"), training_loss_for("softmax", 0.0))
    )
    assert smoothed == pytest.approx(plain, rel=1e-6)
