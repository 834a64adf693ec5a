"""Adapters of kernels on real layers and tiny backbones."""

from __future__ import annotations

from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from ftapp.freezing import freeze
from ftapp.freezing.layer_plan import carry_adapters, list_adapters, plan_layers
from ftapp.freezing.proof import Proof
from ftapp.models.adapters import adapters_added, adapters_merged, add_adapters, find_kernel, find_part
from ftapp.models.layers import ModelLayer, describe_layers
from ftapp.recipe.layer_rules import Adapter, Rule


def bert() -> Any:
    return keras_hub.models.BertBackbone(50, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16)


def gpt2() -> Any:
    return keras_hub.models.GPT2Backbone(50, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16)


def vit() -> Any:
    return keras_hub.models.ViTBackbone((16, 16, 3), 4, 2, 2, 8, 16)


def vgg() -> Any:
    return keras_hub.models.VGGBackbone([1, 1], [4, 4], image_shape=(16, 16, 3))


def build(make: Any) -> tuple[keras.Model, list[ModelLayer]]:
    backbone = make()
    features = backbone.output["pooled_output"] if isinstance(backbone.output, dict) else backbone.output
    x = keras.layers.Flatten()(features) if len(features.shape) > 2 and features.shape[1] else features
    if len(x.shape) > 2:
        x = x[:, -1]  # which sees all positions
    model = keras.Model(backbone.input, keras.layers.Dense(2, name="classifier")(x))
    return model, describe_layers(model, backbone)


def make_inputs(model: keras.Model) -> Any:
    draw = np.random.default_rng(0)
    if not isinstance(model.input, dict):
        return draw.random((8, *model.input.shape[1:]), np.float32)
    return {
        name: np.ones((8, 6), np.int32) if name != "token_ids" else draw.integers(1, 50, (8, 6)) for name in model.input
    }


def call(model: keras.Model, inputs: Any) -> Any:
    return keras.ops.convert_to_numpy(model(inputs, training=False))


@pytest.mark.parametrize(
    ("make", "rule", "count"),
    [
        (bert, "lora:2 query, value", 4),
        (gpt2, "lora:2:4 attention, embeddings & !position_embedding", 9),
        (vit, "lora:2 attention & last:1", 4),
        (vgg, "lora:3 last:1", 1),
    ],
)
def test_adapters_train_beside_frozen_kernels_and_merge(make: Any, rule: str, count: int) -> None:
    model, layers = build(make)
    plan = plan_layers(layers, [Rule("freeze all"), Rule(rule), Rule("train head")])
    assert plan.problems == []
    inputs, size = make_inputs(model), model.count_params()
    before = call(model, inputs)
    planned = plan.trainable_parameters, plan.parameters, plan.adapter_parameters
    adapters = list_adapters(plan)
    assert len(adapters) == count
    add_adapters(adapters, seed=3)
    plan = plan_layers(layers, plan.rules)
    assert (plan.trainable_parameters, plan.parameters, plan.adapter_parameters) == planned
    assert sum(each.description.adapter_parameters for each in plan.decisions) == plan.adapter_parameters > 0
    assert plan.parameters == model.count_params()
    assert (call(model, inputs) == before).all(), "a new adapter changes nothing"
    freeze.apply(model, plan)
    assert len(model.trainable_variables) == 2 * count + 2
    proof = Proof(plan)
    eagerly = keras.backend.backend() == "tensorflow"  # a trace takes longer than two steps
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False, run_eagerly=eagerly)
    for _ in range(2):
        model.train_on_batch(inputs, np.ones((8, 2), np.float32))
    found = proof.compare()
    assert (found.changed, found.still, found.moved) == ((), (), 2 * count + 2)
    after = call(model, inputs)
    assert np.abs(after - before).max() > 1e-4
    with adapters_merged(model):
        assert not any(getattr(layer, "lora_rank", None) for _, layer, _ in adapters)
        assert model.count_params() == size
        np.testing.assert_allclose(call(model, inputs), after, rtol=1e-5, atol=1e-5)
    assert proof.compare() == found, "the kernels are as they were"
    assert (call(model, inputs) == after).all()
    assert model.count_params() == plan.parameters


def test_first_factors_follow_from_the_seed_and_the_layer() -> None:
    def draw(seed: int) -> list[Any]:
        _, layers = build(bert)
        plan = plan_layers(layers, [Rule("lora:2 query")])
        add_adapters(list_adapters(plan), seed)
        return [np.array(layer.lora_kernel_a) for _, layer, _ in list_adapters(plan)]

    first, again, other = draw(0), draw(0), draw(1)
    assert all((one == same).all() for one, same in zip(first, again, strict=True))
    assert not (first[0] == other[0]).any()
    assert not (first[0] == first[1]).any()


@pytest.mark.slow
def test_adapters_that_are_added_for_a_time_leave_no_trace() -> None:
    model, layers = build(vgg)
    plan = plan_layers(layers, [Rule("lora:2 all")])
    names, planned = [each.path for each in model.weights], plan.parameters
    for _ in range(2):
        with adapters_added(list_adapters(plan), 0):
            assert model.count_params() == planned
        assert [each.path for each in model.weights] == names


def test_a_later_phase_keeps_the_adapters() -> None:
    _, layers = build(bert)
    first = plan_layers(layers, [Rule("freeze all"), Rule("lora:2 query")])
    second = plan_layers(carry_adapters(first, layers), [Rule("freeze all"), Rule("train adapters & last:1, head")])
    assert list_adapters(first) == list_adapters(second)
    assert [each.path.rpartition("/")[2] for each in second.trained_layers] == ["query", "classifier"]
    assert second.trainable_parameters == first.adapter_parameters // 2 + 8 * 2 + 2


def test_parts_of_layers_are_known_by_their_weights() -> None:
    model, layers = build(bert)
    by_name = {each.description.path.rpartition("/")[2]: each for each in layers}
    norm, query = by_name["self_attention_layer_norm"], by_name["query"]
    assert (norm.description.biases, norm.description.kernel) == (8, None)
    assert (query.description.biases, query.description.kernel) == (8, (8 * 2, 4))
    assert [find_part(each) for each in norm.layer.weights] == ["weights", "biases"]
    assert find_kernel(by_name["token_embedding"].layer) == (50, 8)
    assert find_kernel(keras.layers.DepthwiseConv2D(3)) is None
    assert find_kernel(model) is None
    query.layer.enable_lora(2, lora_alpha=4)
    assert Adapter(query.layer.lora_rank, query.layer.lora_alpha) == (2, 4)
