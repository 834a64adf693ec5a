"""Measures of a model beside its loss: weight drift and confusion."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from ftapp.analysis.metrics.confusion import count_confusion
from ftapp.training.drift import DriftMeter
from ftapp.training.instrumented_model import instrument, read_values
from tests.support.plans import make_plan


def built() -> tuple[Any, Any]:
    inputs = keras.Input((6,))
    backbone = keras.Model(inputs, keras.layers.Dense(5, activation="relu", name="below")(inputs))
    head = keras.layers.Dense(3, kernel_initializer="zeros", name="classifier")
    return keras.Model(inputs, head(backbone.output)), backbone


def moved(layer: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    layer.set_weights([value + random.normal(0, 0.1, value.shape) for value in layer.get_weights()])


def flat(layer: Any) -> Any:
    return np.concatenate([value.ravel() for value in layer.get_weights()])


def test_confusion_counts_each_pair() -> None:
    truth, predicted = np.array([0, 0, 1, 2, 2, 2], np.int32), np.array([0, 1, 1, 2, 0, 2])
    counts = count_confusion(truth, predicted, 4)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]


def test_drift_is_the_norm_of_the_change() -> None:
    model, backbone = built()
    drift = DriftMeter()
    drift.begin_segment(make_plan(model, backbone, []))
    below, head = model.layers[1:]
    start = flat(below)
    assert list(drift.measure_run().values()) == [0.0, None]  # a head of zeros has no size to compare with
    assert drift.measure_step() is None
    moved(below, 1)
    former, former_head = flat(below), flat(head)
    drift.begin_step()
    moved(below, 2)
    moved(head, 3)
    assert drift.measure_run()["below"] == pytest.approx(
        np.linalg.norm(flat(below) - start) / np.linalg.norm(start), 1e-5
    )
    expected = [np.linalg.norm(flat(below) - former), np.linalg.norm(flat(head) - former_head)]
    assert list((drift.measure_step() or {}).values()) == pytest.approx(expected, 1e-5)
    assert drift.measure_step() is None


def test_drift_goes_back_to_the_start_of_the_run_over_phases() -> None:
    model, backbone = built()
    below, head = model.layers[1:]
    moved(head, 0)
    start, start_head = flat(below), flat(head)
    drift = DriftMeter()
    drift.begin_segment(make_plan(model, backbone, ["freeze all", "train head"]))
    moved(head, 1)
    assert len(drift.measure_run()) == 1
    drift.begin_segment(make_plan(model, backbone, ["train all"]))
    moved(below, 2)
    assert list(drift.measure_run().values()) == pytest.approx(
        [
            np.linalg.norm(flat(below) - start) / np.linalg.norm(start),
            np.linalg.norm(flat(head) - start_head) / np.linalg.norm(start_head),
        ],
        1e-5,
    )


def test_an_instrumented_model_gives_what_the_plain_one_does_with_losses_and_scores() -> None:
    model, _ = built()
    moved(model.layers[-1], 1)
    random = np.random.default_rng(0)
    x, y = random.random((8, 6), np.float32), random.integers(0, 3, 8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, metrics=["accuracy"], jit_compile=False)
    plain = model.test_on_batch(x, y, return_dict=True)
    for gives_scores in (True, False):
        same = instrument(model, gives_scores=gives_scores)
        same.compile(loss=loss, metrics=["accuracy"], jit_compile=False)
        found = read_values(same.test_on_batch(x, y, return_dict=True))
        assert found.metrics == {name: float(value) for name, value in plain.items()}
        assert found.losses is not None
        assert found.losses.shape == (8,)
        assert found.losses.mean() == pytest.approx(found.metrics["loss"], rel=1e-6)
        if gives_scores:
            assert found.scores is not None
            np.testing.assert_allclose(found.scores, model.predict_on_batch(x), rtol=1e-6)
        else:
            assert found.scores is None
    trained = read_values(same.train_on_batch(x, y, return_dict=True))
    assert (trained.losses, trained.scores) == (None, None)
