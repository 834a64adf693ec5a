"""FLOPs and activations against arithmetic by hand, on real models of several families, on each backend."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from ftapp.models import flops
from ftapp.models.blank_weights import weights_left_blank
from ftapp.models.flops import Call, Cost
from ftapp.models.layers import weighted_layers
from tests.support.backends import FIGURES, ON_OTHER_BACKENDS


def bert() -> Any:
    return keras_hub.models.BertBackbone(50, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=32)


def gpt2(vocabulary: int = 50, layers: int = 2, heads: int = 2, width: int = 8) -> Any:
    """GPT-2 with its logits."""
    backbone = keras_hub.models.GPT2Backbone(vocabulary, layers, heads, width, 4 * width)
    return keras.Model(backbone.input, backbone.token_embedding(backbone.output, reverse=True))


def deberta() -> Any:
    return keras_hub.models.DebertaV3Backbone(50, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16)


def llama() -> Any:
    return keras_hub.models.LlamaBackbone(50, 1, 2, 8, 16, 1)


def vgg() -> Any:
    return keras_hub.models.VGGBackbone([1, 2, 1], [4, 4, 4], image_shape=(None, None, 3))


def resnet() -> Any:
    return keras_hub.models.ResNetBackbone([64], [7], [64, 64], [1, 2], [1, 2], "basic_block", image_shape=(16, 16, 3))


def vit() -> Any:
    return keras_hub.models.ViTBackbone((16, 16, 3), 4, 2, 2, 8, 16)


def small_resnet() -> keras.Model:
    """A stem, one block with a projected shortcut, and a classifier."""
    image = keras.Input((16, 16, 3))
    stem = keras.layers.Conv2D(4, 3, padding="same", name="stem")(image)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(stem)
    x = keras.layers.BatchNormalization(name="norm")(x)
    shortcut = keras.layers.Conv2D(8, 1, strides=2, name="shortcut")(stem)
    x = keras.layers.Add(name="sum")([x, shortcut])
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    return keras.Model(image, keras.layers.Dense(5, name="classifier")(x))


FAMILIES = [(bert, (12,)), (gpt2, (12,)), (deberta, (12,)), (llama, (12,)), (vgg, (16, 16)), (resnet, ()), (vit, ())]


def chain(*widths: int) -> keras.Model:
    """Dense layers dense_0, dense_1, ... from each width to the next."""
    x = inputs = keras.Input((widths[0],))
    for index, width in enumerate(widths[1:]):
        x = keras.layers.Dense(width, name=f"dense_{index}")(x)
    return keras.Model(inputs, x)


def layer_cost(layer: Any, *shape: int) -> Cost:
    """What measuring a model of one layer says of it."""
    inputs = keras.Input(shape)
    return flops.by_layer(flops.measure(keras.Model(inputs, layer(inputs)), ()))[layer]


def total(calls: Iterable[Call]) -> int:
    return sum(call.cost.flops for call in calls)


def training(model: Any, names: Sequence[str], size: Sequence[int] = ()) -> int:
    """FLOPs of a step in which the weighted layers train whose paths end in one of the names."""
    trainable = [layer for path, layer, _ in weighted_layers(model) if path.endswith(tuple(names))]
    assert len(trainable) >= len(names)
    return flops.training_flops(flops.measure(model, size), trainable)


def figures() -> list[Any]:
    """Of some families: the calls that compute, all activations, and a step's FLOPs, for comparing backends.

    Llama's attention calls its softmax layer or a fused product, by the backend, so activations are summed up.
    """
    made: list[Any] = []
    for make, size in [(bert, (12,)), (gpt2, (12,)), (llama, (12,)), (vit, ()), (small_resnet, ())]:
        model = make()
        calls = flops.measure(model, size)
        layers = [layer for _, layer, _ in weighted_layers(model)]
        made.append([[type(call.layer).__name__, call.cost.flops] for call in calls if call.cost.flops])
        made.append(sum(call.cost.activations for call in calls))
        made.append(flops.training_flops(calls, layers[len(layers) // 2 :]))
    return made


@pytest.mark.parametrize(
    ("layer", "shape", "flops"),
    [
        (keras.layers.Dense(6), (4,), 2 * 4 * 6),
        (keras.layers.Dense(6), (7, 4), 2 * 7 * 4 * 6),
        (keras.layers.EinsumDense("abc,cde->abde", (7, 2, 5)), (7, 4), 2 * 7 * 4 * 2 * 5),
        (keras.layers.EinsumDense("abcd,cde->abe", (7, 6)), (7, 2, 5), 2 * 7 * 2 * 5 * 6),
        (keras.layers.EinsumDense("...x,xy->...y", 6), (7, 3, 4), 2 * 7 * 3 * 4 * 6),
        (keras.layers.Conv2D(6, 3), (10, 8, 4), 2 * (8 * 6) * 3 * 3 * 4 * 6),
        (keras.layers.Conv2D(6, 3, groups=2), (10, 8, 4), 2 * (8 * 6) * 3 * 3 * 2 * 6),
        (keras.layers.Conv2D(6, 3, strides=2, padding="same"), (10, 8, 4), 2 * (5 * 4) * 3 * 3 * 4 * 6),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), (10, 8, 4), 2 * (8 * 6) * 3 * 3 * 4 * 2),
        (keras.layers.SeparableConv2D(6, 3), (10, 8, 4), 2 * (8 * 6) * (3 * 3 * 4 + 4 * 6)),
        (keras.layers.Conv2DTranspose(6, 3, strides=2), (5, 4, 4), 2 * (5 * 4) * 3 * 3 * 4 * 6),
        (keras.layers.Embedding(9, 4), (7,), 0),
        (keras.layers.LayerNormalization(), (7, 4), 5 * 7 * 4),
        (keras.layers.MaxPooling2D(), (4, 4, 3), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.Layer) else None,
)
def test_flops_of_a_layer_are_twice_its_multiply_adds(layer: Any, shape: tuple[int, ...], flops: int) -> None:
    cost = layer_cost(layer, *shape)
    assert cost.flops == flops
    assert cost.activations == np.prod(layer.output.shape[1:])


def test_a_small_resnet_costs_what_is_worked_out_by_hand() -> None:
    measured = flops.by_layer(flops.measure(small_resnet(), (16, 16)))
    assert {layer.name: (cost.flops, cost.activations) for layer, cost in measured.items()} == {
        "stem": (2 * 256 * 27 * 4, 256 * 4),
        "conv": (2 * 64 * 36 * 8, 64 * 8),
        "norm": (5 * 64 * 8, 64 * 8),
        "shortcut": (2 * 64 * 4 * 8, 64 * 8),
        "sum": (0, 64 * 8),
        "pooling": (0, 8),
        "classifier": (2 * 8 * 5, 5),
    }


def test_vgg16_does_15_billion_multiply_adds_for_an_image() -> None:
    with weights_left_blank():
        backbone = keras_hub.models.VGGBackbone([2, 2, 3, 3, 3], [64, 128, 256, 512, 512], image_shape=(None, None, 3))
    # Multiply-adds of the convolutions at 224 x 224, from the paper's configuration D (Simonyan & Zisserman 2015).
    widths = [(3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56), *[(256, 256, 56)] * 2]
    widths += [(256, 512, 28), *[(512, 512, 28)] * 2, *[(512, 512, 14)] * 3]
    multiply_adds = sum(9 * before * after * size**2 for before, after, size in widths)
    assert multiply_adds == pytest.approx(15.3e9, rel=0.01)
    assert total(flops.measure(backbone, (224, 224))) == 2 * multiply_adds


def test_a_bert_layer_has_24_t_d_d_and_4_t_t_d() -> None:
    backbone, tokens, width = bert(), 12, 8
    measured = flops.by_layer(flops.measure(backbone, (tokens,)))
    block = backbone.get_layer("transformer_layer_0")
    products = [measured[each].flops for each in block._flatten_layers() if "Norm" not in type(each).__name__]
    assert sum(products) == 24 * tokens * width**2 + 4 * tokens**2 * width


def test_attention_puts_out_its_scores_once() -> None:
    tokens, heads = 12, 2
    for dropout in (0.0, 0.1):  # with and without a softmax layer of its own
        attention = keras.layers.MultiHeadAttention(heads, 4, dropout=dropout)
        inputs = keras.Input((tokens, 8))
        calls = flops.measure(keras.Model(inputs, attention(inputs, inputs)), ())
        inside = {call.layer.name: call.cost for call in calls}
        assert inside[attention.name].flops == 4 * tokens**2 * 8
        scores = [cost.activations for cost in inside.values() if cost.activations == heads * tokens**2]
        assert len(scores) == (2 if dropout else 1)  # dropout puts them out anew


def test_gpt2_is_its_blocks_and_its_logits() -> None:
    tokens, width, vocabulary, layers = 128, 768, 5000, 3
    with weights_left_blank():
        model = gpt2(vocabulary, layers=layers, heads=12, width=width)
    measured = flops.measure(model, (tokens,))
    blocks = layers * (24 * tokens * width**2 + 4 * tokens**2 * width)
    norms = (2 * layers + 1) * 5 * tokens * width
    assert total(measured) == blocks + norms + 2 * tokens * width * vocabulary
    embeddings = [call.cost for call in measured if call.layer.name == "token_embedding"]
    assert embeddings == [
        Cost(0, tokens * width),
        Cost(2 * tokens * width * vocabulary, tokens * vocabulary),
    ]


def test_tensors_that_a_block_hands_on_count_once() -> None:
    tokens, width = 12, 8
    measured = flops.by_layer(flops.measure(bert(), (tokens,)))
    # BERT's block ends in a normalization, GPT-2's in a sum of its own.
    assert {cost.activations for layer, cost in measured.items() if layer.name.startswith("transformer")} == {0}
    measured = flops.by_layer(flops.measure(gpt2(), (tokens,)))
    ends = {cost.activations for layer, cost in measured.items() if layer.name.startswith("transformer")}
    assert ends == {tokens * width}


@pytest.mark.parametrize(("make", "size"), FAMILIES)
def test_every_layer_with_weights_has_a_cost(make: Any, size: tuple[int, ...]) -> None:
    model = make()
    measured = flops.by_layer(flops.measure(model, size))
    for path, layer, _ in weighted_layers(model):
        if "relative_embedding" not in path and path != "embeddings":
            assert layer in measured, path
            is_lookup = "embedding" in path.lower() or "cls" in path
            assert measured[layer].flops > 0 or is_lookup, path


def test_models_in_models_are_measured_to_their_layers() -> None:
    inputs, inner = keras.Input((4,)), chain(4, 6, 3)
    last = keras.Sequential([keras.layers.Dense(2, name="last")], name="tail")
    calls = flops.measure(keras.Model(inputs, last(inner(inputs) * 2.0)), ())
    assert [(call.layer.name.rstrip("_0123456789"), call.cost) for call in calls] == [
        ("dense", Cost(2 * 4 * 6, 6)),
        ("dense", Cost(2 * 6 * 3, 3)),
        ("functional", Cost(0, 0)),
        ("multiply", Cost(0, 3)),
        ("last", Cost(2 * 3 * 2, 2)),
        ("tail", Cost(0, 0)),
    ]


def test_gradients_are_passed_down_to_the_first_layer_that_trains() -> None:
    model, (a, b, c) = chain(4, 6, 3, 2), (2 * 4 * 6, 2 * 6 * 3, 2 * 3 * 2)
    assert training(model, []) == a + b + c
    assert training(model, ["dense_2"]) == (a + b + c) + c
    assert training(model, ["dense_1"]) == (a + b + c) + b + c
    assert training(model, ["dense_1", "dense_2"]) == (a + b + c) + b + 2 * c
    assert training(model, ["dense_0"]) == (a + b + c) + a + b + c
    assert training(model, ["dense_0", "dense_1", "dense_2"]) == (a + b + c) + a + 2 * (b + c)


def test_training_all_of_a_transformer_costs_three_times_its_forward_pass() -> None:
    model = gpt2()
    calls = flops.measure(model, (12,))
    everything = [layer for _, layer, _ in weighted_layers(model)]
    assert flops.training_flops(calls, everything) == 3 * total(calls)


def test_gradients_of_attention_go_to_both_factors_of_its_products() -> None:
    model, tokens, width = bert(), 12, 8
    forward = total(flops.measure(model, (tokens,)))
    projection, products, dense = 2 * tokens * width**2, 4 * tokens**2 * width, 8 * tokens * width**2
    norm, pooled = 5 * tokens * width, 2 * width**2
    # The gradient of its kernel; then key and value, which were called after it; the products; all that follows.
    query = training(model, ["transformer_layer_1/self_attention_layer/query"], (tokens,))
    follows = projection + norm + 2 * dense + norm + pooled
    assert query - forward == projection + 2 * projection + 2 * products + follows
    # A block's second half sends nothing through its first.
    mlp = training(model, ["transformer_layer_1/feedforward_intermediate_dense"], (tokens,))
    assert mlp - forward == dense + dense + norm + pooled


def test_both_uses_of_a_tied_embedding_train() -> None:
    model, tokens, width, vocabulary = gpt2(), 12, 8, 50
    forward = total(flops.measure(model, (tokens,)))
    logits = 2 * tokens * width * vocabulary
    # The lookup is below all other layers: gradients pass through all of them, and the logits' product has two.
    attention = 2 * 4 * tokens**2 * width
    assert training(model, ["token_embedding"], (tokens,)) == forward + (forward + attention) + logits


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(("make", "size"), [(bert, (12,)), (vit, ()), (small_resnet, ())])
def test_a_measured_model_is_as_it_was(make: Any, size: tuple[int, ...], policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = make()
    finally:
        keras.config.set_dtype_policy("float32")
    inputs = keras.tree.map_structure(
        lambda tensor: np.ones((2, *(each or 12 for each in tensor.shape[1:])), "int32"), model.input
    )
    flat = [*model._flatten_layers(), *model.operations]
    outputs = keras.tree.flatten(model(inputs, training=False))
    before = [dict(each.__dict__) for each in flat]
    nodes = [(len(each._inbound_nodes), len(each._outbound_nodes)) for each in flat]

    flops.measure(model, size)

    for each, attributes in zip(flat, before, strict=True):
        assert attributes.keys() == each.__dict__.keys(), each.name
        assert all(value is each.__dict__[name] for name, value in attributes.items()), each.name
    assert nodes == [(len(each._inbound_nodes), len(each._outbound_nodes)) for each in flat]
    again = keras.tree.flatten(model(inputs, training=False))
    for one, other in zip(outputs, again, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))


def test_a_model_that_cannot_be_measured_is_as_it_was() -> None:
    model = vgg()
    before = [dict(layer.__dict__) for layer in model._flatten_layers()]
    with pytest.raises(ValueError, match=r"(?i)negative dimension|output size|too small"):
        flops.measure(model, (4, 4))
    assert [dict(layer.__dict__) for layer in model._flatten_layers()] == before
    assert total(flops.measure(model, (16, 16))) > 0


@pytest.mark.parametrize(
    ("make", "size", "message"),
    [
        (vgg, (), "leaves dimensions"),
        (vgg, (16,), "leaves dimensions"),
        (vgg, (16, 16, 4), "does not fit"),
        (small_resnet, (16, 17), "does not fit"),
        (bert, (16, 16), "does not fit"),
    ],
)
def test_a_size_that_does_not_fit_the_inputs_is_refused(make: Any, size: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        flops.measure(make(), size)


@ON_OTHER_BACKENDS
def test_each_backend_gives_the_same_figures() -> None:
    """test_other_backends.py names the file with those of TensorFlow."""
    assert json.loads(json.dumps(figures())) == json.loads(Path(os.environ[FIGURES]).read_text("utf-8"))


def test_biases_alone_need_gradients_of_inputs_and_none_of_kernels() -> None:
    inputs = keras.Input((4,))
    below, above = keras.layers.Dense(8, name="below"), keras.layers.Dense(2, name="above")
    calls = flops.measure(keras.Model(inputs, above(below(inputs))), ())
    costs = flops.by_layer(calls)
    assert flops.training_flops(calls, [below], [below]) == total(calls) + costs[above].flops
    assert flops.training_flops(calls, [below, above], [below]) == total(calls) + 2 * costs[above].flops
