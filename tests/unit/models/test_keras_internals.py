"""What ftapp needs of a release of Keras beside its public interface."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from ftapp.models import keras_internals
from tests.support.presets import Tiny

OPTIMIZERS = {
    "adam": (keras.optimizers.Adam, 2),
    "adamw": (keras.optimizers.AdamW, 2),
    "sgd": (lambda **options: keras.optimizers.SGD(momentum=0.9, **options), 1),
    "rmsprop": (keras.optimizers.RMSprop, 1),
    "lion": (keras.optimizers.Lion, 1),
}


def build() -> keras.Model:
    inputs = keras.Input((4,), name="numbers")
    x = keras.layers.Dense(3, name="below")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.5, seed=1, name="dropout")(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="above")(x * 2.0))


def names(variables: list[Any]) -> list[str]:
    return [variable.name for variable in variables]


def test_layers_are_found_at_any_depth() -> None:
    attention = keras.layers.MultiHeadAttention(2, 4, name="attention")
    attention.build((None, 3, 8), (None, 3, 8))
    inner = keras_internals.inner_layers(attention)
    assert {"query", "key", "value", "attention_output"} <= {layer.name for layer in inner}
    model = keras.Sequential([keras.Input((3,)), keras.Sequential([keras.layers.Dense(2, name="deep")], name="nested")])
    found = keras_internals.flatten_layers(model)
    assert found[0] is model
    assert {"nested", "deep"} <= {layer.name for layer in found}
    assert "deep" not in {layer.name for layer in keras_internals.inner_layers(model)}


@pytest.mark.parametrize("trainable", [True, False])
def test_own_weights_and_statistics_do_not_depend_on_what_is_frozen(trainable: bool) -> None:
    norm = build().get_layer("norm")
    norm.trainable = trainable
    assert names(keras_internals.own_weights(norm)) == ["gamma", "beta"]
    assert names(keras_internals.own_statistics(norm)) == ["moving_mean", "moving_variance"]
    attention = keras.layers.MultiHeadAttention(2, 4)
    attention.build((None, 3, 8), (None, 3, 8))
    assert keras_internals.own_weights(attention) == []
    dropout = build().get_layer("dropout")
    assert keras_internals.own_statistics(dropout) == []  # its seed is not one


def test_automatic_names_are_those_of_a_new_process_for_a_time() -> None:
    makes = [keras.layers.Dense, keras.layers.Dense, keras.layers.Rescaling]
    before = [make(1).name for make in makes]
    with keras_internals.fresh_names():
        assert [make(1).name for make in makes] == ["dense", "dense_1", "rescaling"]
        with keras_internals.fresh_names():
            assert [make(1).name for make in makes] == ["dense", "dense_1", "rescaling"]
        within = [make(1).name for make in makes]
        assert within == ["dense_2", "dense_3", "rescaling_1"]
    after = [make(1).name for make in makes]
    assert not set(after) & {*before, *within, "dense", "dense_1", "rescaling"}


def test_weights_are_hidden_for_a_time() -> None:
    model = build()
    layer = model.get_layer("below")
    with keras_internals.weights_hidden(layer, [layer.bias]):
        assert names(layer.weights) == names(layer.trainable_variables) == ["kernel"]
    assert names(layer.weights) == names(layer.trainable_variables) == ["kernel", "bias"]


def test_a_frozen_variable_of_a_layer_that_trains_gets_no_gradient() -> None:
    model = build()
    model.get_layer("below").kernel.trainable = False
    assert "below/kernel" not in {variable.path for variable in model.trainable_variables}
    assert "below/bias" in {variable.path for variable in model.trainable_variables}


def test_the_nodes_of_a_graph_come_in_the_order_of_their_calls() -> None:
    model = build()
    assert keras_internals.is_functional(model)
    nodes = keras_internals.graph_nodes(model)
    layers = [node.operation.name for node in nodes]
    assert layers[:4] == ["numbers", "below", "norm", "dropout"]
    assert layers[-1] == "above"
    assert [node.is_input for node in nodes] == [True] + [False] * 5
    for before, node in pairwise(nodes):
        assert any(tensor is each for tensor in node.input_tensors for each in before.outputs)
    # A node is called anew on other tensors.
    fresh = keras.Input((4,))
    args, kwargs = nodes[1].arguments.fill_in({id(nodes[0].outputs[0]): fresh})
    assert tuple(nodes[1].operation(*args, **kwargs).shape) == (None, 3)
    assert keras_internals.operation_of(model.output) is model.get_layer("above")

    class Subclassed(keras.Model):  # type: ignore[misc]
        pass

    assert not keras_internals.is_functional(Subclassed())


def test_random_layers_start_anew_from_a_state() -> None:
    model = build()
    (generator,) = keras_internals.seed_generators(model)
    layer = model.get_layer("dropout")
    x = np.ones((8, 3), np.float32)
    masks = []
    for seed in (5, 5, 6):
        generator.state.assign(np.array([seed, 0], np.uint32))
        masks.append([np.asarray(layer(x, training=True)) for _ in range(2)])
    assert (masks[0][0] == masks[1][0]).all()
    assert (masks[0][1] == masks[1][1]).all()
    assert (masks[0][0] != masks[0][1]).any()
    assert (masks[0][0] != masks[2][0]).any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_keep_moments_of_each_weight(name: str) -> None:
    make, count = OPTIMIZERS[name]
    model = build()
    optimizer = make(name=name)
    optimizer.build(model.trainable_variables)
    for index, variable in enumerate(model.trainable_variables):
        assert keras_internals.optimizer_variables(optimizer)[index] is variable
        assert keras_internals.variable_index(optimizer, variable) == index
        found = keras_internals.moments(optimizer, variable)
        assert len(found) == count
        assert all(tuple(each.shape) == tuple(variable.shape) for each in found)
    assert optimizer.name == name
    assert optimizer.built
    assert int(optimizer.iterations) == 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hooks_are_called_once_an_update_in_their_order_and_change_nothing(name: str) -> None:
    make, _ = OPTIMIZERS[name]
    calls: list[str] = []
    plain = make(learning_rate=0.1, weight_decay=0.01, global_clipnorm=0.5)

    class Watched(keras_internals.with_hooks(type(plain))):  # type: ignore[misc]
        def clip_gradients(self, gradients: Any) -> Any:
            calls.append(f"clip {len(gradients)}")
            return super().clip_gradients(gradients)

        def apply_weight_decay(self, variables: Any) -> None:
            calls.append(f"decay {len(variables)}")
            super().apply_weight_decay(variables)

        def update_weights(self, gradients: Any, variables: Any) -> None:
            calls.append(f"update {len(gradients)} {len(variables)}")
            super().update_weights(gradients, variables)

        def current_learning_rate(self) -> Any:
            return super().current_learning_rate() * self.factor

    def after(optimizer: Any) -> list[Any]:
        weights = [keras.Variable(np.linspace(-1, 1, size), name=f"w{size}") for size in (3, 4)]
        optimizer.build(weights)
        for _ in range(2):
            optimizer.apply([keras.ops.ones((3,)), keras.ops.ones((4,))])
        return [np.asarray(weight) for weight in weights]

    watched, slower = Watched.from_config(plain.get_config()), Watched.from_config(plain.get_config())
    watched.factor, slower.factor = 1.0, 0.5
    for old, new in zip(after(plain), after(watched), strict=True):
        np.testing.assert_array_equal(old, new)
    assert calls == ["clip 2", "decay 2", "update 2 2"] * 2
    halved = make(learning_rate=0.05, weight_decay=0.01, global_clipnorm=0.5)
    for old, new in zip(after(halved), after(slower), strict=True):
        np.testing.assert_allclose(old, new, rtol=1e-6)


def test_the_class_of_a_backbone_is_known_before_it_is_built(tiny: Tiny) -> None:
    assert keras_internals.find_backbone_kind(str(tiny.gpt2)) is keras_hub.models.GPT2Backbone
