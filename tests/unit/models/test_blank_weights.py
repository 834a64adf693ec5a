"""Models that are loaded without random first weights are those that are loaded with them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from ftapp.models.blank_weights import load_over_blank, weights_left_blank
from ftapp.models.layers import weighted_layers
from tests.support.presets import Tiny


def build() -> keras.Model:
    kinds = ["random_normal", "random_uniform", "truncated_normal", "glorot_uniform", "he_normal", "lecun_uniform"]
    inputs = x = keras.Input((4,))
    for kind in kinds:
        x = keras.layers.Dense(5, kernel_initializer=kind)(x)
    return keras.Model(inputs, keras.layers.BatchNormalization()(x))


def values(model: Any) -> list[np.ndarray[Any, Any]]:
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


@pytest.fixture
def blank() -> Iterator[None]:
    with weights_left_blank():
        yield


@pytest.mark.parametrize("name", ["vgg", "bert", "gpt2"])
def test_loaded_weights_are_the_same(tiny: Tiny, name: str) -> None:
    def load() -> Any:
        return keras_hub.models.Backbone.from_preset(str(getattr(tiny, name)))

    for blank, plain in zip(values(load_over_blank(load)), values(load()), strict=True):
        np.testing.assert_array_equal(blank, plain)


def test_a_model_whose_files_lack_weights_has_random_ones() -> None:
    saved = build()
    calls: list[None] = []

    def load_some() -> keras.Model:
        calls.append(None)
        model = build()
        for weight, value in list(zip(model.weights, values(saved), strict=True))[2:]:
            weight.assign(value)
        return model

    model = load_over_blank(load_some)
    assert len(calls) == 2
    assert all(np.isfinite(value).all() for value in values(model))
    np.testing.assert_array_equal(values(model)[-1], values(saved)[-1])


def test_names_of_layers_do_not_depend_on_models_that_were_loaded_before(tmp_path: Path) -> None:
    """The blocks of experts have automatic names, by which rules choose them."""
    sizes = {"num_layers": 2, "hidden_dim": 8, "intermediate_dim": 16, "vocabulary_size": 50}
    heads = {"num_query_heads": 2, "num_key_value_heads": 1, "num_experts": 2, "top_k": 1}
    keras_hub.models.MixtralBackbone(**sizes, **heads).save_to_preset(str(tmp_path))
    loaded = [load_over_blank(lambda: keras_hub.models.Backbone.from_preset(str(tmp_path))) for _ in range(2)]
    first, second = ([path for path, _, _ in weighted_layers(model)] for model in loaded)
    assert first == second
    assert "transformer_layer_0/mixtral_sparse_moe_block/experts" in first
    assert "transformer_layer_1/mixtral_sparse_moe_block_1/experts" in first


def test_weights_are_blank_in_this_context_and_this_thread_alone(blank: None) -> None:
    with ThreadPoolExecutor(1) as other:
        there = other.submit(lambda: values(build())).result()
    here = values(build())
    kernels = [index for index, value in enumerate(here) if value.ndim == 2]
    assert len(kernels) == 6
    assert all(np.isnan(here[index]).all() for index in kernels)
    assert all(np.isfinite(here[index]).all() for index in range(len(here)) if index not in kernels)
    assert all(np.isfinite(value).all() for value in there)


def test_initializers_draw_again_after_a_load_that_fails() -> None:
    def fail() -> Any:
        raise OSError("no such preset")

    with pytest.raises(OSError, match="no such preset"):
        load_over_blank(fail)
    assert all(np.isfinite(value).all() for value in values(build()))
