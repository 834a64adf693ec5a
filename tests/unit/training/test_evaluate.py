"""The metrics of an evaluation agree with scikit-learn's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss

from ftapp.training.evaluate import evaluate
from ftapp.training.instrumented_model import instrument


def test_loss_accuracy_and_confusion_are_those_of_scikit_learn() -> None:
    """Over batches of unequal size, whose means do not count alike."""
    random = np.random.default_rng(1)
    x, y = random.normal(0, 2, (23, 5)).astype("float32"), random.integers(0, 3, 23)
    inputs = keras.Input((5,))
    model = instrument(keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs)), predicts=True)
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    dataset: Any = SimpleNamespace(make_inputs=lambda rows, _: x[rows], get_targets=lambda rows: y[rows])
    batches = np.split(np.arange(23), [8, 16])
    measured = evaluate(model, dataset, batches, 3, lambda done, of: True)
    assert measured is not None
    probabilities = model.predict_on_batch(x)
    predicted = probabilities.argmax(axis=1)
    assert measured.metrics["loss"] == pytest.approx(log_loss(y, probabilities, labels=range(3)), rel=1e-5)
    assert measured.metrics["accuracy"] == pytest.approx(accuracy_score(y, predicted))
    assert measured.metrics["macro-f1"] == pytest.approx(f1_score(y, predicted, average="macro"))
    assert measured.confusion is not None
    assert (measured.confusion == confusion_matrix(y, predicted, labels=range(3))).all()
