"""Frozen halves on OpenVINO: they compute what Keras computes, whatever the backend, the batch and the length."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("openvino")

from ftapp.freezing.cut import Cut, cut
from ftapp.freezing.openvino_engine import OpenVinoEngine, convert
from ftapp.models.adapters import find_kernel
from ftapp.models.layers import weighted_layers
from tests.support import family_models
from tests.support.plans import make_plan
from tests.support.presets import set_weights

TEXTS = {
    "vocabulary_size": 50,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 16,
    "max_sequence_length": 32,
}


def vgg() -> Any:
    return keras_hub.models.VGGBackbone(
        stackwise_num_repeats=[1, 2], stackwise_num_filters=[4, 6], image_shape=(None, None, 3)
    )


FAMILIES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "vgg": (vgg, ["freeze all", "train head"]),
    "resnet": (family_models.resnet, ["freeze all", "train head"]),
    "vit": (lambda: keras_hub.models.ViTBackbone(**family_models.VIT, mlp_dim=16), ["freeze all", "train head"]),
    "bert": (lambda: keras_hub.models.BertBackbone(**TEXTS), ["freeze all", "train last:1, pooler, head"]),
    "gpt2": (lambda: keras_hub.models.GPT2Backbone(**TEXTS), ["freeze all", "train last:1, head"]),
}


def cut_family(name: str) -> Cut:
    """The model of a family with a new head, cut below what trains."""
    make, rules = FAMILIES[name]
    backbone = make()
    set_weights(backbone, 1)
    output = backbone.output
    if isinstance(output, dict):
        output = output["pooled_output"]
    elif len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D()(output)
    model = keras.Model(backbone.input, keras.layers.Dense(3, name="head")(output))
    halves = cut(model, make_plan(model, backbone, rules), dropout=False)
    assert isinstance(halves, Cut)
    halves.frozen.compile()
    return halves


def draw_inputs(halves: Cut, examples: int, tokens: int, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)

    def draw(tensor: Any) -> NDArray[Any]:
        shape = (examples, *(size or (16 if len(tensor.shape) == 4 else tokens) for size in tensor.shape[1:]))
        if "mask" in tensor.name:
            return np.arange(tokens)[None] < random.integers(2, tokens + 1, (examples, 1))
        if "int" in tensor.dtype:
            return random.integers(0, 2 if "segment" in tensor.name else 50, shape).astype(np.int32)
        return random.normal(0, 1, shape).astype(np.float32)

    drawn = {tensor.name: draw(tensor) for tensor in halves.frozen.inputs}
    return drawn if isinstance(halves.frozen.input, dict) else next(iter(drawn.values()))


def largest_difference(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    assert ours.keys() == theirs.keys()
    pairs = [(np.asarray(ours[name], np.float32), np.asarray(theirs[name], np.float32)) for name in ours]
    return max(float(np.abs(one - other).max() / np.abs(other).max()) for one, other in pairs)


@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_those_of_keras(family: str) -> None:
    halves = cut_family(family)
    engine = OpenVinoEngine(convert(halves), halves, "float32")
    for examples, tokens in ((8, 16), (3, 7)):
        inputs = draw_inputs(halves, examples, tokens)
        theirs = halves.frozen.predict_on_batch(inputs)
        assert largest_difference(engine.predict_on_batch(inputs), theirs) < 1e-5


@pytest.mark.parametrize("family", ["vgg", "gpt2"])
def test_adapters_of_frozen_layers_are_converted_with_them(family: str) -> None:
    halves = cut_family(family)
    chosen = [layer for _, layer, _ in weighted_layers(halves.frozen) if find_kernel(layer)]
    for layer in chosen:
        layer.enable_lora(2, lora_alpha=4, b_initializer="he_uniform")
    assert chosen
    halves.frozen.compile()
    inputs = draw_inputs(halves, 4, 8)
    theirs = halves.frozen.predict_on_batch(inputs)
    assert (
        largest_difference(OpenVinoEngine(convert(halves), halves, "float32").predict_on_batch(inputs), theirs) < 1e-5
    )
    assert all(layer.lora_enabled for layer in chosen)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_in_bfloat16_is_converted_in_float32(family: str) -> None:
    keras.utils.clear_session()
    inputs, expected = None, None
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            halves = cut_family(family)
            inputs = draw_inputs(halves, 4, 8) if inputs is None else inputs
            given = dict(zip([one.name for one in halves.frozen.inputs], keras.tree.flatten(inputs), strict=True))
            given = given if isinstance(halves.frozen.input, dict) else inputs
            policies = [layer.dtype_policy.name for layer in halves.frozen.layers]
            found = OpenVinoEngine(convert(halves), halves, "float32").predict_on_batch(given)
            assert [layer.dtype_policy.name for layer in halves.frozen.layers] == policies
        finally:
            keras.config.set_dtype_policy("float32")
        expected = expected or found
        assert largest_difference(found, expected) < 1e-5


def test_these_tests_report_nothing_to_the_makers_of_the_engine() -> None:
    assert find_spec("openvino.tools.ovc")
    assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]


@pytest.mark.slow
def test_nothing_is_reported_to_the_makers_of_the_engine(tmp_path: Path) -> None:
    program = """
import socket, sys
def refuse(*arguments, **options):
    raise AssertionError("a connection was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import ftapp.freezing.openvino_engine
import nncf, openvino.tools.ovc
assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]
assert "telemetry_stub" in type(openvino.tools.ovc.telemetry).__module__
"""
    environment = {**os.environ, "HOME": str(tmp_path), "CI": ""}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert not (tmp_path / "intel").exists(), "where the reports keep who consented"
