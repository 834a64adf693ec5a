"""What a phase's rules decide, for layers and for their variables."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from ftapp import recipe
from ftapp.freezing import freeze
from ftapp.freezing.proof import Proof
from ftapp.training.callbacks.last_good import LastGood
from ftapp.training.drift import DriftMeter
from ftapp.training.layer_rates import list_multipliers
from ftapp.training.state import Position, TrainState
from tests.support.plans import make_plan


def build() -> tuple[Any, Any]:
    inputs = keras.Input((6,))
    x = keras.layers.Dense(5, activation="relu", name="below")(inputs)
    backbone = keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(x))
    return keras.Model(inputs, keras.layers.Dense(2, name="classifier")(backbone.output)), backbone


def train(model: Any) -> None:
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    model.train_on_batch(np.random.default_rng(0).random((8, 6), np.float32), np.ones((8, 2), np.float32))


BIASES = ["freeze all", "train biases & !norm"]


def test_a_plan_says_what_trains() -> None:
    plan = make_plan(*build(), ["freeze all", "train norm, head"])
    assert [decision.path for decision in plan.trained_layers] == ["norm", "classifier"]
    assert (plan.parameters, plan.trainable_parameters) == (35 + 20 + 12, 10 + 12)
    assert plan.trainable_share == 22 / 67
    assert [variable.name for variable in plan.changing] == [
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
        "kernel",
        "bias",
    ]
    assert plan.problems == []


def test_variables_of_one_layer_can_train_and_stay() -> None:
    model, backbone = build()
    plan = make_plan(model, backbone, BIASES)
    freeze.apply(model, plan)
    assert [each.path for each in model.trainable_variables] == ["below/bias", "classifier/bias"]
    assert plan.trainable_parameters == 5 + 2
    proof, drift, good = Proof(plan), DriftMeter(), LastGood()
    drift.begin_segment(plan)
    drift.begin_step()
    session: Any = SimpleNamespace(plan=plan)
    state = TrainState(position=Position(run_step=1))
    good.on_segment_begin(session, state)
    good.on_train_begin(state)
    before = [np.array(variable) for variable in plan.changing]
    train(model)
    found = proof.compare()
    assert (found.frozen, found.changed, found.moved, found.still) == (6, (), 2, ())
    moved = [float(np.linalg.norm(np.array(new) - old)) for new, old in zip(plan.changing, before, strict=True)]
    assert np.allclose(list((drift.measure_step() or {}).values()), moved)
    assert good.restore() == 1
    assert all((np.array(new) == old).all() for new, old in zip(plan.changing, before, strict=True))


def test_learning_rates_are_of_the_variables_that_train() -> None:
    model, backbone = build()
    plan = make_plan(model, backbone, BIASES)
    phase = recipe.Phase.model_validate(
        {"name": "p", "steps": 1, "learning_rate": {"backbone": 1e-4, "head": 1e-3}},
    )
    assert [(variable.path, round(factor, 3)) for variable, factor in list_multipliers(phase, plan)] == [
        ("below/bias", 0.1),
        ("classifier/bias", 1.0),
    ]
