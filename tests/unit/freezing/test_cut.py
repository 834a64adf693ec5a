"""The cut above the frozen layers, on real tiny models: where it lies, and that both halves are the whole model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from ftapp.freezing import freeze
from ftapp.freezing.cut import Cut, cut
from tests.support.plans import make_plan

TOKENS = {
    "token_ids": np.arange(18).reshape(2, 9) % 50,
    "segment_ids": np.zeros((2, 9), int),
    "padding_mask": np.arange(9)[None] < np.array([[9], [5]]),
}


def bert(dropout: float = 0.1) -> Any:
    return keras_hub.models.BertBackbone(
        50, num_layers=3, num_heads=2, hidden_dim=8, intermediate_dim=16, dropout=dropout
    )


def gpt2() -> Any:
    return keras_hub.models.GPT2Backbone(50, num_layers=3, num_heads=2, hidden_dim=8, intermediate_dim=16)


def albert() -> Any:
    return keras_hub.models.AlbertBackbone(50, 3, 2, 8, 8, 16)


def deberta() -> Any:
    return keras_hub.models.DebertaV3Backbone(50, num_layers=3, num_heads=2, hidden_dim=8, intermediate_dim=16)


def vgg() -> Any:
    return keras_hub.models.VGGBackbone([1, 2, 1], [4, 4, 4], image_shape=(16, 16, 3))


def resnet() -> Any:
    return keras_hub.models.ResNetBackbone([64], [7], [64, 64], [1, 2], [1, 2], "basic_block", image_shape=(32, 32, 3))


def with_head(backbone: Any) -> keras.Model:
    features = backbone.output["pooled_output"] if isinstance(backbone.output, dict) else backbone.output
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="head_pooling")(features)
    return keras.Model(backbone.input, keras.layers.Dense(2, name="classifier")(features))


def with_logits(backbone: Any) -> keras.Model:
    return keras.Model(backbone.input, backbone.token_embedding(backbone.output, reverse=True))


def frozen(model: keras.Model, backbone: Any, rules: Sequence[str], *, dropout: bool = False) -> Cut | str:
    plan = make_plan(model, backbone, rules)
    freeze.apply(model, plan)
    return cut(model, plan, dropout=dropout)


def inputs_of(model: keras.Model) -> Any:
    if not isinstance(model.input, dict):
        return np.random.default_rng(0).random((2, *model.input.shape[1:]), np.float32)
    return {name: TOKENS[name] for name in model.input}


def array(tensor: Any) -> np.ndarray[Any, Any]:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize(
    ("make", "rules", "last"),
    [
        (vgg, ["freeze all", "train head"], "block3_conv1"),
        (vgg, ["freeze all", "train block3, head"], "block2_conv2"),
        (resnet, ["freeze all", "train last:1, head"], "stack1_block0_2_bn"),
        (bert, ["freeze all", "train last:1, pooler, head"], "transformer_layer_1"),
        (bert, ["freeze embeddings, attention"], "embeddings_layer_norm"),
        (gpt2, ["freeze all", "train attention & last:1"], "transformer_layer_1"),
        (gpt2, ["freeze all", "train attention & last:2"], "transformer_layer_0"),
        (deberta, ["freeze all", "train last:1, head"], "disentangled_attention_encoder_layer_1"),
        (albert, ["freeze embeddings"], None),
    ],
)
def test_both_halves_in_a_row_are_the_whole_model(make: Any, rules: list[str], last: str | None) -> None:
    backbone = make()
    model = with_logits(backbone) if make is gpt2 else with_head(backbone)
    halves = frozen(model, backbone, rules)
    assert isinstance(halves, Cut)
    assert last is None or halves.layers[-1] == last
    x = inputs_of(model)
    whole = array(model(x, training=False))
    named = x if isinstance(x, dict) else {model.inputs[0].name: x}
    passed = {name: keras.ops.convert_to_tensor(named[name]) for name in halves.passed}
    assert np.allclose(array(halves.rest(halves.frozen(x) | passed, training=False)), whole, atol=1e-6)
    assert not halves.frozen.trainable_variables
    trainable = {id(variable) for variable in model.trainable_variables}
    assert {id(variable) for variable in halves.rest.trainable_variables} == trainable


def test_masks_go_around_the_frozen_half_and_are_not_kept() -> None:
    backbone = bert()
    model = with_head(backbone)
    halves = frozen(model, backbone, ["freeze all", "train last:1, pooler, head"])
    assert isinstance(halves, Cut)
    assert halves.passed == ("padding_mask",)
    assert [tuple(tensor.shape) for tensor in halves.frozen.outputs] == [(None, None, 8)]


def test_pooling_that_holds_no_weights_belongs_to_the_frozen_half() -> None:
    backbone = vgg()
    model = with_head(backbone)
    halves = frozen(model, backbone, ["freeze all", "train head"])
    assert isinstance(halves, Cut)
    assert [tuple(tensor.shape) for tensor in halves.frozen.outputs] == [(None, 4)]
    assert [layer.name for layer in halves.rest.layers if layer.weights] == ["classifier"]


def test_a_skip_that_crosses_the_cut_is_kept_beside_it() -> None:
    inputs = keras.Input((8, 8, 3))
    first = keras.layers.Conv2D(4, 3, padding="same", name="block1_conv")(inputs)
    second = keras.layers.Conv2D(4, 3, padding="same", name="block2_conv")(first)
    third = keras.layers.Conv2D(4, 3, padding="same", name="block3_conv")(second)
    backbone = keras.Model(inputs, keras.layers.Add()([third, first]))
    model = with_head(backbone)
    halves = frozen(model, backbone, ["freeze all", "train block3_conv, head"])
    assert isinstance(halves, Cut)
    assert len(halves.frozen.outputs) == 2
    x = inputs_of(model)
    assert np.allclose(array(halves.rest(halves.frozen(x))), array(model(x)), atol=1e-6)


def test_a_tensor_without_a_fixed_size_moves_the_cut_below_it() -> None:
    tokens = keras.Input((None,), dtype="int32", name="token_ids")
    embedded = keras.layers.Embedding(50, 8, name="embedding")(tokens)
    scores = keras.ops.matmul(embedded, keras.ops.transpose(embedded, (0, 2, 1)))  # (batch, tokens, tokens)
    mixed = keras.ops.matmul(keras.ops.softmax(scores), keras.layers.Dense(8, name="mlp_dense")(embedded))
    backbone = keras.Model({"token_ids": tokens}, keras.ops.max(mixed, axis=1))
    model = with_head(backbone)
    halves = frozen(model, backbone, ["freeze embedding"])
    assert isinstance(halves, Cut)
    assert [tuple(tensor.shape) for tensor in halves.frozen.outputs] == [(None, None, 8)]


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([], "nothing is frozen at the bottom: token_embedding trains"),
        (["freeze all", "train embeddings, head"], "nothing is frozen at the bottom: token_embedding trains"),
    ],
)
def test_a_model_that_trains_at_the_bottom_stays_whole(rules: list[str], reason: str) -> None:
    backbone = bert()
    assert frozen(with_head(backbone), backbone, rules) == reason


def test_what_is_random_is_above_the_cut_when_dropout_stays_on() -> None:
    backbone = bert(dropout=0.5)
    model = with_head(backbone)
    halves = frozen(model, backbone, ["freeze all", "train last:1, pooler, head"], dropout=True)
    assert isinstance(halves, Cut)
    assert halves.layers[-1] == "embeddings_layer_norm"
