"""The freeze proof notices every weight that moved and every one that did not."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from ftapp.freezing import freeze
from ftapp.freezing.proof import Proof, digest_weights
from tests.support.plans import make_plan


def built() -> tuple[keras.Model, keras.Model]:
    inputs = keras.Input((6,))
    x = keras.layers.Dense(5, activation="relu", name="below")(inputs)
    backbone = keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(x))
    return keras.Model(inputs, keras.layers.Dense(2, name="classifier")(backbone.output)), backbone


def trained(rules: list[str], rate: float = 0.1) -> tuple[Any, Proof]:
    model, backbone = built()
    plan = make_plan(model, backbone, rules)
    freeze.apply(model, plan)
    proof = Proof(plan)
    model.compile(keras.optimizers.SGD(rate), "mse", jit_compile=False)
    model.train_on_batch(*data())
    return model, proof


def data() -> tuple[Any, Any]:
    return np.random.default_rng(0).random((8, 6), np.float32), np.ones((8, 2), np.float32)


def test_frozen_weights_and_statistics_stay_and_the_others_move() -> None:
    _, proof = trained(["freeze all", "train head"])
    found = proof.compare()
    assert (found.frozen, found.changed) == (6, ())  # kernel, bias, gamma, beta, moving mean and variance
    assert (found.moved, found.still) == (2, ())
    assert len(found.digest) == 32


def test_statistics_of_a_layer_that_trains_are_not_claimed_to_stay() -> None:
    _, proof = trained([])
    found = proof.compare()
    assert found.frozen == 0
    assert found.moved == 6


@pytest.mark.parametrize("name", ["below/kernel", "norm/moving_mean"])
def test_a_frozen_weight_that_changed_in_its_last_bit_is_named(name: str) -> None:
    model, proof = trained(["freeze all", "train head"])
    before = proof.compare().digest
    variable = next(v for layer in model.layers for v in layer.weights if f"{layer.name}/{v.name}" == name)
    value = np.array(keras.ops.convert_to_numpy(variable))
    value.flat[0] = np.nextafter(value.flat[0], np.float32(np.inf))
    variable.assign(value)
    found = proof.compare()
    assert found.changed == (name,)
    assert found.digest != before


def test_a_trained_weight_that_did_not_move_is_named_and_told_from_one_without_a_gradient() -> None:
    model, proof = trained(["freeze below"], rate=0.0)
    found = proof.compare()
    assert set(found.still) == {"norm/gamma", "norm/beta", "classifier/kernel", "classifier/bias"}
    plan = make_plan(model, model, [])
    before = digest_weights(plan)
    assert set(proof.find_stuck(found.still, model, *data(), rate=0.1)) == set(found.still)
    assert digest_weights(plan) == before  # the weights are put back, statistics too
    # Behind a scale of zero nothing of the classifier's kernel has a gradient.
    model.get_layer("norm").gamma.assign(np.zeros(5))
    model.get_layer("norm").beta.assign(np.zeros(5))
    assert "classifier/kernel" not in proof.find_stuck(
        ["classifier/kernel", "classifier/bias"], model, *data(), rate=0.1
    )


def test_digests_name_every_weight_once() -> None:
    assert len(digest_weights(make_plan(*built(), []))) == 8
