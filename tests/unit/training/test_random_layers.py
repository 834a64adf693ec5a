"""Dropout masks are a function of the seed, the phase, the epoch and the step, on each backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ftapp.training.random_layers import LayerSeeds

X, Y = np.random.default_rng(0).normal(0, 1, (8, 32)).astype("float32"), np.zeros((8, 1), np.float32)
KEYS = [(7, 0, 0, 0), (7, 0, 0, 1), (7, 0, 1, 0), (7, 1, 0, 0), (8, 0, 0, 0)]


def model(*off: str) -> Any:
    """Two layers of dropout, of which those named are off, compiled for steps that change no weight."""
    x = inputs = keras.Input((32,))
    for name in ("first", "second"):
        x = keras.layers.Dropout(0.5, name=name)(x)
    made = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(x))
    for name in off:
        made.get_layer(name).rate = 0.0
    made.compile(keras.optimizers.SGD(0.0), "mse")
    return made


def losses(trained: Any, keys: Sequence[Sequence[int]]) -> list[float]:
    """The losses of steps with these keys, which differ by their masks alone."""
    seeds = LayerSeeds(trained)
    made = []
    for key in keys:
        seeds.assign(key)
        made.append(float(trained.train_on_batch(X, Y)))
    return made


def test_each_step_has_masks_of_its_own_and_a_step_repeated_has_the_same() -> None:
    trained = model()
    found = losses(trained, [*KEYS, *reversed(KEYS)])
    assert len(set(found)) == len(KEYS)
    assert found[: len(KEYS)] == found[: len(KEYS) - 1 : -1]


def test_a_step_in_the_middle_has_the_masks_of_a_whole_run() -> None:
    assert losses(model(), KEYS[3:]) == losses(model(), KEYS)[3:]


def test_masks_do_not_depend_on_other_layers_whose_dropout_is_off() -> None:
    trained = model("first")
    states = [layer.seed_generator.state for layer in (trained.get_layer("first"), trained.get_layer("second"))]
    before = np.array(states[0])
    LayerSeeds(trained).assign(KEYS[0])
    assert np.array_equal(np.array(states[0]), before)
    second = np.array(states[1])
    whole = model()
    LayerSeeds(whole).assign(KEYS[0])
    assert np.array_equal(np.array(whole.get_layer("second").seed_generator.state), second)
    assert not np.array_equal(np.array(whole.get_layer("first").seed_generator.state), second)


def test_new_seeds_compile_nothing_anew() -> None:
    traced = []

    def count(x: Any) -> Any:
        traced.append(1)
        return x

    inputs = keras.Input((32,))
    x = keras.layers.Dropout(0.5)(keras.layers.Lambda(count, output_shape=(32,))(inputs))
    trained = keras.Model(inputs, keras.layers.Dense(1)(x))
    trained.compile(keras.optimizers.SGD(0.0), "mse")
    losses(trained, KEYS[:2])  # TensorFlow traces a second time, once the optimizer has its variables
    calls = len(traced)
    losses(trained, KEYS)
    eager = keras.backend.backend() == "torch"
    assert len(traced) == calls + (len(KEYS) if eager else 0)
