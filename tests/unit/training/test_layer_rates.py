"""The learning rate of each layer, on real tiny backbones of several families."""

from __future__ import annotations

from typing import Any

import keras
import keras_hub
import pytest

from ftapp.freezing.layer_plan import LayerPlan
from ftapp.recipe import Phase
from ftapp.training import layer_rates
from tests.support.plans import make_plan


def bert() -> Any:
    return keras_hub.models.BertBackbone(50, num_layers=3, num_heads=2, hidden_dim=8, intermediate_dim=16)


def gpt2() -> Any:
    return keras_hub.models.GPT2Backbone(50, num_layers=3, num_heads=2, hidden_dim=8, intermediate_dim=16)


def vit() -> Any:
    return keras_hub.models.ViTBackbone((16, 16, 3), 4, 3, 2, 8, 16)


def deberta() -> Any:
    return keras_hub.models.DebertaV3Backbone(50, num_layers=3, num_heads=2, hidden_dim=8, intermediate_dim=16)


def resnet() -> Any:
    return keras_hub.models.ResNetBackbone([64], [7], [64, 64], [1, 2], [1, 2], "basic_block", image_shape=(32, 32, 3))


def densenet() -> Any:
    return keras_hub.models.DenseNetBackbone([1, 2, 1], (32, 32, 3), 0.5, 4)


def plan_of(backbone: Any, *layers: str) -> LayerPlan:
    if isinstance(backbone, keras_hub.models.GPT2Backbone):
        # As ftapp builds language models: the embedding stands at both ends.
        model = keras.Model(backbone.input, backbone.token_embedding(backbone.output, reverse=True))
    else:
        features = backbone.output["pooled_output"] if isinstance(backbone.output, dict) else backbone.output
        model = keras.Model(backbone.input, keras.layers.Dense(2, name="classifier")(features))
    return make_plan(model, backbone, layers)


def phase(**keys: Any) -> Phase:
    return Phase.model_validate({"name": "p", "steps": 1, **keys})


def by_path(made: LayerPlan, **keys: Any) -> dict[str, float | None]:
    layers = made.descriptions
    return dict(zip([layer.path for layer in layers], layer_rates.rates_by_layer(phase(**keys), layers), strict=True))


@pytest.mark.parametrize(
    ("make", "ends"),
    [
        (bert, {"token_embedding": 4, "embeddings_layer_norm": 4, "pooled_dense": 0, "classifier": 0}),
        (gpt2, {"token_embedding": 4, "position_embedding": 4, "layer_norm": 0}),
        (vit, {"vit_patching_and_embedding/patch_embedding": 4, "vit_encoder/ln": 0, "classifier": 0}),
        (deberta, {"token_embedding": 4, "rel_embedding": 4, "classifier": 0}),
        (resnet, {"conv1_conv": 4, "classifier": 0}),
    ],
)
def test_depth_counts_the_blocks_above_a_layer(make: Any, ends: dict[str, int]) -> None:
    layers = plan_of(make()).descriptions
    depth = dict(zip([layer.path for layer in layers], layer_rates.find_depths(layers), strict=True))
    assert {layer.block: depth[layer.path] for layer in layers if layer.block is not None} == {0: 3, 1: 2, 2: 1}
    assert {path: found for path, found in depth.items() if path in ends} == ends


def test_what_lies_between_blocks_counts_with_the_lower_one() -> None:
    layers = plan_of(densenet()).descriptions
    depth = dict(zip([layer.path for layer in layers], layer_rates.find_depths(layers), strict=True))
    # Four blocks in three stacks of 1, 2 and 1.
    assert [depth[f"{name}_conv"] for name in ("conv1", "stack1_block1_1", "transition1")] == [5, 4, 4]
    assert [depth[f"{name}_bn"] for name in ("stack2_block2_1", "transition2", "stack3_block1_1")] == [2, 2, 1]
    assert [depth[name] for name in ("bn", "classifier")] == [0, 0]


def test_a_backbone_without_blocks_is_one_layer() -> None:
    inputs = keras.Input((4,))
    backbone = keras.Model(inputs, keras.layers.Dense(3, name="features")(inputs))
    made = make_plan(keras.Model(inputs, keras.layers.Dense(2, name="classifier")(backbone.output)), backbone, [])
    assert by_path(made, learning_rate=1.0, layer_decay=0.5) == {"features": 0.5, "classifier": 1.0}


def test_later_selections_override_earlier_ones() -> None:
    table = {
        "backbone": 1.0,
        "attention & last:2": 3.0,
        "head, pooler": 5.0,
        "*_layer_2/self_attention_layer/query": 4.0,
    }
    found = by_path(plan_of(bert()), learning_rate=table)
    key, query = (f"self_attention_layer/{name}" for name in ("key", "query"))
    assert [found[f"transformer_layer_{block}/{key}"] for block in range(3)] == [1.0, 3.0, 3.0]
    assert [found[f"transformer_layer_{block}/{query}"] for block in range(3)] == [1.0, 3.0, 4.0]
    assert [found[path] for path in ("token_embedding", "pooled_dense", "classifier")] == [1.0, 5.0, 5.0]
    turned = by_path(plan_of(bert()), learning_rate=dict(reversed(table.items())))
    assert turned[f"transformer_layer_2/{query}"] == 1.0


def test_decay_multiplies_what_the_table_gives() -> None:
    found = by_path(plan_of(bert()), learning_rate={"all": 1.0, "head": 8.0, "first:1": 2.0}, layer_decay=0.5)
    ends = ("token_embedding", "transformer_layer_0/feedforward_layer_norm", "pooled_dense", "classifier")
    assert [found[path] for path in ends] == [0.5**4, 2 * 0.5**3, 1.0, 8.0]


def test_problems_name_selections_that_match_nothing_and_layers_without_a_rate() -> None:
    made = plan_of(bert(), "freeze embeddings")
    assert layer_rates.find_problems(phase(learning_rate=1e-3), made) == []
    assert layer_rates.find_problems(phase(learning_rate={"all": 1e-5, "hed": 1e-3}), made) == [
        "'hed' matches no layer of this model; did you mean 'head'?"
    ]
    # Frozen layers, here the embeddings, need none.
    blocks = {"blocks[:]": 1e-5, "pooler": 1e-4}
    assert layer_rates.find_problems(phase(learning_rate={**blocks, "head": 1e-3}), made) == []
    assert layer_rates.find_problems(phase(learning_rate=blocks), made) == [
        "every layer that trains has a learning rate; no selection reaches 'classifier'; "
        "put 'all' first, for example all = 1e-05"
    ]
    (message,) = layer_rates.find_problems(phase(learning_rate={"head": 1e-3}), made)
    assert "no selection reaches 'transformer_layer_0/self_attention_layer/query' and 24 more;" in message


def test_every_variable_that_trains_has_a_multiplier_and_no_other() -> None:
    made = plan_of(resnet(), "freeze first:1")
    found = layer_rates.list_multipliers(phase(learning_rate={"all": 0.5, "head": 2.0}, layer_decay=0.5), made)
    by_name = {variable.path: multiplier for variable, multiplier in found}
    expected = {variable.path for decision in made.trained_layers for variable in decision.layer._trainable_variables}
    assert set(by_name) == expected
    assert by_name["classifier/kernel"] == 1.0
    assert by_name["conv1_conv/kernel"] == 0.25 * 0.5**4
    assert not any("moving" in path for path in by_name)
