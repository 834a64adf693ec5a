"""Groups, blocks and trainable flags on real tiny backbones of several families."""

from __future__ import annotations

import math
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from ftapp.freezing import freeze
from ftapp.models.blank_weights import weights_left_blank
from ftapp.models.layers import describe_layers
from tests.support.plans import make_plan


def bert() -> Any:
    return keras_hub.models.BertBackbone(50, num_layers=3, num_heads=2, hidden_dim=8, intermediate_dim=16)


def gpt2() -> Any:
    return keras_hub.models.GPT2Backbone(50, num_layers=3, num_heads=2, hidden_dim=8, intermediate_dim=16)


def vgg() -> Any:
    return keras_hub.models.VGGBackbone([1, 2, 1], [4, 4, 4], image_shape=(16, 16, 3))


def resnet() -> Any:
    return keras_hub.models.ResNetBackbone([64], [7], [64, 64], [1, 2], [1, 2], "basic_block", image_shape=(32, 32, 3))


def vit() -> Any:
    return keras_hub.models.ViTBackbone((16, 16, 3), 4, 2, 2, 8, 16)


def roberta() -> Any:
    return keras_hub.models.RobertaBackbone(50, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16)


def with_head(backbone: Any) -> keras.Model:
    features = backbone.output["pooled_output"] if isinstance(backbone.output, dict) else backbone.output
    return keras.Model(backbone.input, keras.layers.Dense(2, name="classifier")(features))


def names(backbone: Any, *rules: str) -> set[str]:
    return {decision.path for decision in make_plan(with_head(backbone), backbone, rules).trained_layers}


@pytest.mark.parametrize("make", [bert, gpt2, vgg, resnet, vit, roberta])
def test_every_weight_belongs_to_one_layer(make: Any) -> None:
    backbone = make()
    model = with_head(backbone)
    plan = make_plan(model, backbone, [])
    assert plan.parameters == model.count_params()
    paths = [layer.path for layer in plan.descriptions]
    assert len(set(paths)) == len(paths)
    assert {"head"} == set.union(*(set(layer.groups) for layer in plan.descriptions if layer.path == "classifier"))


@pytest.mark.parametrize(("make", "blocks"), [(bert, 3), (gpt2, 3), (vgg, 3), (resnet, 3), (vit, 2), (roberta, 2)])
def test_blocks_are_found(make: Any, blocks: int) -> None:
    backbone = make()
    found = [each.description for each in describe_layers(with_head(backbone), backbone)]
    assert {layer.blocks for layer in found} == {blocks}
    assert {layer.block for layer in found} - {None} == set(range(blocks))


@pytest.mark.parametrize("make", [bert, gpt2, vit, roberta])
def test_transformers_have_their_groups(make: Any) -> None:
    backbone = make()
    found = [each.description for each in describe_layers(with_head(backbone), backbone)]
    size = {
        group: sum(group in layer.groups for layer in found) for group in ("attention", "mlp", "norms", "embeddings")
    }
    blocks = found[0].blocks
    assert size["attention"] == 4 * blocks
    assert size["mlp"] == 2 * blocks
    assert size["norms"] >= 2 * blocks
    assert size["embeddings"] >= 1


def test_bert_with_frozen_attention_trains_mlp_norms_pooler_and_head() -> None:
    trains = names(bert(), "freeze embeddings", "freeze attention")
    parts = {path.split("/", 1)[-1] for path in trains}
    assert parts == {
        "self_attention_layer_norm",
        "feedforward_layer_norm",
        "feedforward_intermediate_dense",
        "feedforward_output_dense",
        "pooled_dense",
        "classifier",
    }


def test_bert_base_trains_about_half_when_attention_is_frozen() -> None:
    with weights_left_blank():
        backbone = keras_hub.models.BertBackbone(30522, 12, 12, hidden_dim=768, intermediate_dim=3072)
    plan = make_plan(with_head(backbone), backbone, ["freeze embeddings", "freeze attention"])
    assert plan.trainable_share == pytest.approx(0.52, abs=0.005)


def deberta() -> Any:
    return keras_hub.models.DebertaV3Backbone(50, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16)


def test_a_block_named_after_attention_is_not_all_attention() -> None:
    backbone = deberta()
    model = keras.Model(backbone.input, backbone.output)
    found = [each.description for each in describe_layers(model, backbone)]
    mlp = {layer.path.rsplit("/", 1)[-1] for layer in found if "mlp" in layer.groups}
    assert mlp == {"feedforward_intermediate_dense", "feedforward_output_dense"}
    assert not any({"mlp", "attention"} <= layer.groups for layer in found)


@pytest.mark.parametrize("make", [bert, resnet])
@pytest.mark.parametrize("rules", [[], ["freeze backbone"], ["freeze all", "train norms"]])
def test_trainable_parameters_are_those_that_the_optimizer_gets(make: Any, rules: list[str]) -> None:
    backbone = make()
    model = with_head(backbone)
    plan = make_plan(model, backbone, rules)
    freeze.apply(model, plan)
    expected = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert plan.trainable_parameters == expected


def test_flags_reach_the_weights_and_nothing_else_changes() -> None:
    backbone = gpt2()
    model = with_head(backbone)
    freeze.apply(model, make_plan(model, backbone, ["freeze all", "train attention & last:1"]))
    trainable = {variable.path for variable in model.trainable_variables}
    assert len(trainable) == 8
    assert all(path.startswith("transformer_layer_2/self_attention/") for path in trainable)
    freeze.apply(model, make_plan(model, backbone, ["freeze !biases"]))
    assert {variable.name for variable in model.trainable_variables} == {"bias", "beta"}
    freeze.apply(model, make_plan(model, backbone, []))
    assert model.non_trainable_weights == []


def test_frozen_batch_normalization_keeps_its_statistics() -> None:
    backbone = resnet()
    model = with_head(backbone)
    freeze.apply(model, make_plan(model, backbone, ["freeze backbone"]))
    statistics = [keras.ops.convert_to_numpy(v) for v in backbone.non_trainable_variables if "moving" in v.path]
    model.compile("sgd", "mse")
    model.train_on_batch(
        keras.random.normal((4, 32, 32, 3)), keras.ops.zeros((4, 1, 1, 2)) + keras.ops.zeros(model.output_shape[1:])
    )
    after = [keras.ops.convert_to_numpy(v) for v in backbone.non_trainable_variables if "moving" in v.path]
    assert statistics
    assert all((one == other).all() for one, other in zip(statistics, after, strict=True))


def test_problems_name_what_matches_nothing_and_what_trains_nothing() -> None:
    backbone = vgg()
    model = with_head(backbone)
    assert "did you mean 'block2_conv" in make_plan(model, backbone, ["freeze block2_conv9"]).problems[0]
    assert "at least one layer" in make_plan(model, backbone, ["freeze all"]).problems[0]
    assert make_plan(model, backbone, ["freeze all", "train block3"]).problems == []


def test_dropout_in_frozen_layers_is_off_for_as_long_as_they_are_quiet() -> None:
    backbone = keras_hub.models.BertBackbone(
        50, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16, dropout=0.5
    )
    model = with_head(backbone)
    freeze.apply(model, make_plan(model, backbone, ["freeze attention"]))
    rates = {layer: layer.rate for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)}
    embedded, block = backbone.get_layer("embeddings_dropout"), backbone.get_layer("transformer_layer_0")
    scores = block._self_attention_layer._dropout_layer
    assert {embedded, scores, block._feedforward_dropout} <= set(rates)
    assert set(rates.values()) == {0.5}
    with freeze.dropout_disabled(model):
        # That of the scores belongs to the frozen attention, the others to no frozen layer.
        assert scores.rate == 0.0
        assert (embedded.rate, block._feedforward_dropout.rate) == (0.5, 0.5)
    assert {layer.rate for layer in rates} == {0.5}
    freeze.apply(model, make_plan(model, backbone, ["freeze backbone"]))
    with freeze.dropout_disabled(model, [embedded]):
        x = {
            "token_ids": np.ones((1, 4), int),
            "segment_ids": np.zeros((1, 4), int),
            "padding_mask": np.ones((1, 4), bool),
        }
        training, inference = (keras.ops.convert_to_numpy(model(x, training=each)) for each in (True, False))
        assert (training == inference).all()
