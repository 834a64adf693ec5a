"""The losses of classifier heads."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from ftapp.models.heads import training_loss_for
from ftapp.models.objectives import loss_for
from ftapp.recipe.tasks import TASKS, Head

SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)
OUTPUTS: dict[Head, Any] = {
    "softmax": np.log(SCORES),
    "one-vs-rest": np.log(SCORES / (1 - SCORES)),
    "linear-svm": SCORES,
}
LABELS = np.array([0, 1])


def training_loss(head: Head, **options: Any) -> keras.losses.Loss:
    loss = training_loss_for(head, **options)
    assert loss is not None
    return loss


def compute(loss: keras.losses.Loss, head: Head) -> float:
    return float(keras.ops.convert_to_numpy(loss(LABELS, OUTPUTS[head])))


def test_label_smoothing_spreads_a_share_of_each_label_over_the_classes() -> None:
    smoothing = 0.3
    found = compute(training_loss("softmax", smoothing=smoothing), "softmax")
    logs = -np.log(SCORES)
    expected = (1 - smoothing) * logs[[0, 1], LABELS] + smoothing * logs.mean(axis=1)
    assert found == pytest.approx(expected.mean(), rel=1e-5)


def test_of_one_class_against_the_others_both_answers_are_smoothed() -> None:
    smoothing = 0.3
    found = compute(training_loss("one-vs-rest", smoothing=smoothing), "one-vs-rest")
    truth = np.eye(3)[LABELS] * (1 - smoothing) + smoothing / 2
    expected = -(truth * np.log(SCORES) + (1 - truth) * np.log(1 - SCORES))
    assert found == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize("head", ["softmax", "one-vs-rest", "linear-svm"])
def test_weights_of_one_give_the_plain_loss(head: Head) -> None:
    plain = compute(loss_for(TASKS["text-classification"], head), head)
    assert compute(training_loss(head, weights=np.ones(3)), head) == pytest.approx(plain, rel=1e-6)
    assert training_loss_for(head) is None


@pytest.mark.parametrize("head", ["softmax", "one-vs-rest", "linear-svm"])
def test_the_loss_of_an_example_counts_by_its_class(head: Head) -> None:
    loss = loss_for(TASKS["text-classification"], head)
    alone = [float(keras.ops.convert_to_numpy(loss(LABELS[[row]], OUTPUTS[head][[row]]))) for row in range(2)]
    found = compute(training_loss(head, weights=np.array([0.5, 4.0, 9.0])), head)
    assert found == pytest.approx((0.5 * alone[0] + 4.0 * alone[1]) / 2, rel=1e-6)


def test_focal_loss_counts_what_the_model_is_sure_of_less() -> None:
    p = SCORES[[0, 1], LABELS]
    found = compute(training_loss("softmax", gamma=2.0), "softmax")
    assert found == pytest.approx((-((1 - p) ** 2) * np.log(p)).mean(), rel=1e-5)
    of_truth = np.where(np.eye(3)[LABELS] == 1, SCORES, 1 - SCORES)
    found = compute(training_loss("one-vs-rest", gamma=2.0), "one-vs-rest")
    assert found == pytest.approx((-((1 - of_truth) ** 2) * np.log(of_truth)).mean(), rel=1e-5)


@pytest.mark.parametrize("head", ["softmax", "one-vs-rest"])
@pytest.mark.parametrize("options", [{}, {"smoothing": 0.2}, {"weights": np.ones(3)}])
def test_focal_loss_of_power_zero_is_the_plain_loss(head: Head, options: dict[str, Any]) -> None:
    plain = loss_for(TASKS["text-classification"], head) if not options else training_loss(head, **options)
    assert compute(training_loss(head, gamma=1e-9, **options), head) == pytest.approx(compute(plain, head), rel=1e-5)


@pytest.mark.parametrize("head", ["softmax", "one-vs-rest"])
def test_shares_of_classes_are_labels_of_their_own(head: Head) -> None:
    shares = np.array([[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]], np.float32)
    logs, others = -np.log(SCORES), -np.log(1 - SCORES)
    expected = (shares * logs).sum(axis=1)
    if head == "one-vs-rest":
        expected = (shares * logs + (1 - shares) * others).mean(axis=1)

    def measure(**options: Any) -> float:
        loss = training_loss(head, targets="shares", **options)
        return float(keras.ops.convert_to_numpy(loss(shares, OUTPUTS[head])))

    assert measure() == pytest.approx(expected.mean(), rel=1e-5)
    weights = np.array([1.0, 3.0, 2.0])
    assert measure(weights=weights) == pytest.approx((expected * (shares @ weights)).mean(), rel=1e-5)
    whole = np.eye(3, dtype=np.float32)[LABELS]
    hard = compute(training_loss(head, gamma=2.0, weights=weights), head)
    soft = training_loss(head, gamma=2.0, weights=weights, targets="shares")(whole, OUTPUTS[head])
    assert float(keras.ops.convert_to_numpy(soft)) == pytest.approx(hard, rel=1e-6)


SETS = np.array([[True, False, True], [False, False, True]])


def measure_sets(head: Head, **options: Any) -> float:
    return float(keras.ops.convert_to_numpy(training_loss(head, targets="sets", **options)(SETS, OUTPUTS[head])))


def test_the_labels_that_an_example_has_count_by_their_weights() -> None:
    weights = np.array([2.0, 9.0, 0.25])
    expected = -np.where(SETS, weights * np.log(SCORES), np.log(1 - SCORES))
    assert measure_sets("one-vs-rest", weights=weights) == pytest.approx(expected.mean(), rel=1e-5)
    margins = np.where(SETS, weights * np.maximum(0, 1 - SCORES), np.maximum(0, 1 + SCORES))
    assert measure_sets("linear-svm", weights=weights) == pytest.approx(margins.mean(), rel=1e-5)


@pytest.mark.parametrize("head", ["one-vs-rest", "linear-svm"])
def test_labels_of_weight_one_give_the_plain_loss(head: Head) -> None:
    plain = float(keras.ops.convert_to_numpy(loss_for(TASKS["text-multi-label"], head)(SETS, OUTPUTS[head])))
    assert measure_sets(head, weights=np.ones(3)) == pytest.approx(plain, rel=1e-6)
    assert training_loss_for(head, targets="sets") is None


def test_labels_of_sets_are_smoothed_and_focused() -> None:
    smoothed = SETS * 0.8 + 0.1
    expected = -(smoothed * np.log(SCORES) + (1 - smoothed) * np.log(1 - SCORES))
    assert measure_sets("one-vs-rest", smoothing=0.2) == pytest.approx(expected.mean(), rel=1e-5)
    of_truth = np.where(SETS, SCORES, 1 - SCORES)
    focused = -((1 - of_truth) ** 2) * np.log(of_truth)
    assert measure_sets("one-vs-rest", gamma=2.0) == pytest.approx(focused.mean(), rel=1e-5)
    weights = np.array([2.0, 9.0, 0.25])
    weighted = np.where(SETS, weights, 1) * focused
    assert measure_sets("one-vs-rest", gamma=2.0, weights=weights) == pytest.approx(weighted.mean(), rel=1e-5)
