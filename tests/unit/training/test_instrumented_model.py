"""The losses of answers that are quite wrong, whose probabilities Keras would clip, are exact and have gradients."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from ftapp.models.heads import training_loss_for
from ftapp.models.objectives import loss_for
from ftapp.recipe import TASKS
from ftapp.recipe.tasks import Head
from ftapp.training.instrumented_model import InstrumentedModel, instrument, read_values

RATE = 0.5
GAP = 40.0  # float32 has no probability between 1 - exp(-17) and 1, and Keras clips at 1e-7, exp(-16)
X = np.array([[1.0], [0.5]], np.float32)
LOGITS = np.array([[GAP, 0.0], [GAP / 2, 0.0]])


def build(head: Head, *, is_trained_focally: bool = False) -> tuple[InstrumentedModel, keras.layers.Dense]:
    """A model that is sure of the first of two classes, and its head."""
    inputs = keras.Input((1,))
    activation = {"softmax": "softmax", "one-vs-rest": "sigmoid"}[head]
    layer = keras.layers.Dense(2, activation=activation)
    model = instrument(keras.Model(inputs, layer(inputs)), gives_scores=True)
    layer.kernel.assign([[GAP, 0.0]])
    if is_trained_focally:
        model.training_loss = training_loss_for(head, gamma=2.0)
    loss = loss_for(TASKS["text-classification"], head)
    model.compile(keras.optimizers.SGD(RATE), loss=loss, metrics=["accuracy"], jit_compile=False)
    return model, layer


def measure(model: InstrumentedModel, labels: list[int]) -> Any:
    return read_values(model.test_on_batch(X, np.array(labels), return_dict=True))


def read(variable: Any) -> Any:
    return keras.ops.convert_to_numpy(variable)


def test_probabilities_that_are_zero_have_a_loss() -> None:
    found = measure(build("softmax")[0], [1, 0])
    np.testing.assert_allclose(found.losses, [GAP, np.exp(-GAP / 2)], rtol=1e-6, atol=1e-7)
    assert found.metrics["accuracy"] == 0.5
    np.testing.assert_allclose(found.scores, [[1.0, np.exp(-GAP)], [1.0, np.exp(-GAP / 2)]], rtol=1e-5)


def test_losses_of_right_answers_are_zero_without_a_sign() -> None:
    found = measure(build("softmax")[0], [0, 0])
    assert not np.signbit(found.losses).any()
    assert not np.signbit(found.metrics["loss"])


def test_a_class_against_the_others_has_a_loss_where_its_probability_is_one() -> None:
    found = measure(build("one-vs-rest")[0], [1, 0])
    np.testing.assert_allclose(found.losses, [(GAP + np.log(2)) / 2, np.log(2) / 2], rtol=1e-6)
    np.testing.assert_allclose(found.scores, [[1.0, 0.5], [1.0, 0.5]], rtol=1e-6)


@pytest.mark.parametrize("is_trained_focally", [False, True])
@pytest.mark.parametrize("head", ["softmax", "one-vs-rest"])
def test_what_is_quite_wrong_is_learned_from(head: Head, is_trained_focally: bool) -> None:
    model, layer = build(head, is_trained_focally=is_trained_focally)
    model.train_on_batch(X, np.array([1, 1]))
    # The first class is said with a probability of 1, and is never there: the gradient of its logit is 1.
    share = 1 if head == "softmax" else 1 / 2  # averaged over the classes
    assert read(layer.kernel)[0, 0] == pytest.approx(GAP - RATE * share * X.mean(), rel=1e-6)
    assert read(layer.bias)[0] == pytest.approx(-RATE * share, rel=1e-6)


def test_a_head_gives_probabilities_again_after_each_step() -> None:
    model, layer = build("softmax")
    model.train_on_batch(X, np.array([0, 0]))
    assert layer.activation is keras.activations.softmax
    np.testing.assert_allclose(read(layer(X)).sum(axis=1), 1, rtol=1e-6)
