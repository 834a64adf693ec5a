"""The metrics of an evaluation agree with scikit-learn's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, roc_auc_score

from ftapp.models.objectives import loss_for
from ftapp.recipe import TASKS
from ftapp.training.evaluate import evaluate
from ftapp.training.instrumented_model import instrument
from tests.unit.training.test_answers import make_kind


def test_loss_accuracy_and_confusion_are_those_of_scikit_learn() -> None:
    """Over batches of unequal size, whose means do not count alike."""
    random = np.random.default_rng(1)
    x, y = random.normal(0, 2, (23, 5)).astype("float32"), random.integers(0, 3, 23)
    inputs = keras.Input((5,))
    plain = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
    model = instrument(plain, gives_scores=True)
    loss = loss_for(TASKS["text-classification"], "softmax")
    model.compile(loss=loss, metrics=["accuracy"], jit_compile=False)
    dataset: Any = SimpleNamespace(make_inputs=lambda rows, _: x[rows], get_targets=lambda rows: y[rows])
    batches = np.split(np.arange(23)[::-1], [8, 16])
    measured = evaluate(model, dataset, batches, make_kind(3), lambda done, of: True)
    assert measured is not None
    probabilities = plain.predict_on_batch(x)
    predicted = probabilities.argmax(axis=1)
    assert measured.metrics["loss"] == pytest.approx(log_loss(y, probabilities, labels=range(3)), rel=1e-5)
    assert measured.metrics["accuracy"] == pytest.approx(accuracy_score(y, predicted))
    assert measured.metrics["macro-f1"] == pytest.approx(f1_score(y, predicted, average="macro"))
    assert measured.metrics["auc"] == pytest.approx(roc_auc_score(y, probabilities, multi_class="ovr"))
    assert measured.targets is not None
    assert measured.scores is not None
    result = make_kind(3).describe(measured.targets, measured.scores, step=0, split="test", final=False)
    assert result.counts == confusion_matrix(y, predicted, labels=range(3)).tolist()
    assert measured.order.tolist() == list(range(22, -1, -1))
    np.testing.assert_allclose(measured.losses[::-1], -np.log(probabilities[np.arange(23), y]), rtol=1e-5)
    assert measured.answers is not None
    assert measured.answers.answers[::-1].tolist() == predicted.tolist()


def test_losses_of_sequences_are_means_over_their_tokens() -> None:
    random = np.random.default_rng(2)
    x, y = random.normal(0, 1, (3, 4, 5)).astype("float32"), random.integers(0, 6, (3, 4)).astype("int32")
    inputs = keras.Input((4, 5))
    model = instrument(keras.Model(inputs, keras.layers.Dense(6)(inputs)), gives_scores=False)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    dataset: Any = SimpleNamespace(make_inputs=lambda rows, _: x[rows], get_targets=lambda rows: y[rows])
    measured = evaluate(model, dataset, [np.arange(2), np.array([2])], None, lambda done, of: True)
    assert measured is not None
    each = keras.losses.sparse_categorical_crossentropy(y, model.predict_on_batch(x), from_logits=True)
    np.testing.assert_allclose(measured.losses, np.mean(each, axis=1), rtol=1e-5)
    assert measured.losses.mean() == pytest.approx(measured.metrics["loss"], rel=1e-5)
    assert (measured.answers, measured.scores) == (None, None)
