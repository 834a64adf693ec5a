"""A step of a model is traced once on TensorFlow, whatever the sizes of its batches, with Keras's own results."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from ftapp.training.instrumented_model import InstrumentedModel, read_values

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's traces")


class Counted(keras.layers.Layer):  # type: ignore[misc]
    """Counts how often it is called: once for each trace, and once where Keras builds its metrics."""

    calls = 0

    def call(self, inputs: object) -> object:
        self.calls += 1
        return inputs


def make_model(kind: type[keras.Model]) -> tuple[keras.Model, Counted]:
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    mask = keras.Input((None,), dtype="bool", name="mask")
    counted = Counted()
    embedded = counted(keras.layers.Embedding(20, 4)(tokens))
    pooled = keras.layers.GlobalAveragePooling1D()(embedded, mask=mask)
    model = kind({"tokens": tokens, "mask": mask}, keras.layers.Dense(3)(pooled))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=each.shape) for each in model.get_weights()])
    model.compile("adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    counted.calls = 0
    return model, counted


def make_batch(examples: int, tokens: int) -> tuple[dict[str, object], object]:
    random = np.random.default_rng(tokens)
    ids = random.integers(0, 20, (examples, tokens)).astype("int32")
    return {"tokens": ids, "mask": ids > 2}, random.integers(0, 3, examples).astype("int32")


def test_a_step_is_traced_once_for_all_sizes() -> None:
    model, counted = make_model(InstrumentedModel)
    plain, keras_counted = make_model(keras.Model)
    for sizes in ((8, 16), (8, 12), (3, 12), (1, 30)):
        x, y = make_batch(*sizes)
        ours = read_values(model.train_on_batch(x, y, return_dict=True))[0]
        theirs = plain.train_on_batch(x, y, return_dict=True)
        assert ours == pytest.approx({name: float(value) for name, value in theirs.items()}, rel=1e-5)
    assert counted.calls == 1 + 1
    assert keras_counted.calls > 1 + 1
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


def test_a_step_with_weights_of_examples_gives_what_keras_gives() -> None:
    model, counted = make_model(InstrumentedModel)
    plain, _ = make_model(keras.Model)
    for sizes in ((8, 16), (3, 12)):
        x, y = make_batch(*sizes)
        weights = np.linspace(0, 2, sizes[0]).astype("float32")
        ours = read_values(model.train_on_batch(x, y, weights, return_dict=True))[0]
        theirs = plain.train_on_batch(x, y, weights, return_dict=True)
        assert ours["loss"] == pytest.approx(float(theirs["loss"]), rel=1e-5)
    assert counted.calls == 1 + 1
    for mine, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        assert np.allclose(mine, other, atol=1e-5)


def test_an_evaluation_is_traced_once_for_all_sizes() -> None:
    model, counted = make_model(InstrumentedModel)
    for sizes in ((8, 16), (8, 12), (3, 12)):
        model.test_on_batch(*make_batch(*sizes), return_dict=True)
    assert counted.calls == 1 + 1


def test_a_model_that_is_compiled_anew_is_traced_anew() -> None:
    model, counted = make_model(InstrumentedModel)
    x, y = make_batch(4, 6)
    model.train_on_batch(x, y)
    model.compile("sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = counted.calls
    model.train_on_batch(x, y)
    assert counted.calls > before
