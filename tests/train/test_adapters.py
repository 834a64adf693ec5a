"""Runs that train adapters and biases: their proof, their saved models, and how they go on."""

from __future__ import annotations

import pytest

from ftapp import recipe as recipes
from ftapp.models import saved_model
from ftapp.models.layers import describe_layers
from ftapp.runs.checkpoints import list_checkpoints, read_facts
from ftapp.runs.commands import Freeze, Unfreeze
from ftapp.runs.history import History
from ftapp.runs.replay import ReplayedCommand
from ftapp.training.checkpoint import read_checkpoint
from ftapp.training.setup import choose_device, set_up
from ftapp.training.start_events import describe_model
from tests.conftest import Do
from tests.support.backends import ON_OTHER_BACKENDS, OWN_BACKEND
from tests.support.checkpoints import cut_back
from tests.support.recipes import EVERY_STEP, without_samples
from tests.train.test_resume import check_goes_on, go_on

LORA = 'phase.finetune.layers=["freeze all", "lora:2:4 query, value", "train head"]'
BITFIT = 'phase.finetune.layers=["freeze all", "train biases & last:1", "train head"]'
LATER = """
[[phase]]
name = "later"
layers = ["freeze all", "train adapters & last:1", "train biases & mlp", "train head"]
steps = 5
batch_size = 8
learning_rate = { all = 0.003, biases = 0.01 }
"""


def weights(history: History) -> str:
    assert history.saved is not None
    return history.saved.weights


@pytest.mark.slow
def test_adapters_train_in_two_phases_and_go_on_exactly(do: Do, text_recipe: str) -> None:
    code, whole, run = do(text_recipe + LATER, LORA, "phase.finetune.steps=4", *EVERY_STEP)
    assert code == 0
    first, second = whole.ended_phases
    assert (first.changed, first.stuck, second.changed, second.stuck) == ([], [], [], [])
    started = whole.phases[0]
    assert all(path.endswith(("/query", "/value", "classifier")) for path in started.trainable_layers)
    assert started.adapters > 0
    assert first.moved == 2 * (len(started.trainable_layers) - 1) + 2
    assert whole.phases[1].adapters < started.adapters
    check_goes_on(run, whole, (2, 6))
    seeded = recipes.load(run.recipe_file, None, ["seed=1"])
    other = describe_model(set_up(seeded, choose_device(seeded.precision), None, lambda *_: None))
    assert whole.model is not None
    assert other.digest != whole.model.digest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["text_recipe", "image_recipe", "lm_recipe"])
def test_a_saved_model_has_its_adapters_merged(name: str, do: Do, request: pytest.FixtureRequest) -> None:
    rules = {"text_recipe": "query, value", "image_recipe": "last:1", "lm_recipe": "attention, mlp & last:1"}[name]
    phase = "head" if name == "image_recipe" else "finetune"
    trained = "" if name == "lm_recipe" else ', "train head"'
    layers = f'phase.{phase}.layers=["freeze all", "lora:2 {rules}"{trained}]'
    code, history, run = do(without_samples(request.getfixturevalue(name)), layers)
    assert code == 0
    loaded = saved_model.load(run.model_folder)
    backbone = loaded.causal_lm.backbone if loaded.causal_lm else loaded.model
    assert not [each for each in loaded.model.weights if "lora" in each.path]
    assert not [each for each in describe_layers(loaded.model, backbone) if each.description.adapter]
    assert history.result is not None
    assert "lora" not in (run.model_folder / "preset" / "config.json").read_text("utf-8")
    assert history.ended_phases[0].changed == []


def test_biases_alone_train(do: Do, text_recipe: str) -> None:
    code, history, run = do(text_recipe, BITFIT, "checkpoint.keep=1")
    assert code == 0
    ended = history.ended_phases[0]
    assert (ended.changed, ended.stuck) == ([], [])
    [(_, folder), *_] = list_checkpoints(run)
    facts = read_facts(folder)
    assert facts is not None
    names = [name for name in read_checkpoint(folder, facts).weights if not name.startswith("random state")]
    inside = [name for name in names if not name.startswith("classifier")]
    assert all(name.endswith(("/bias", "/beta")) and "transformer_layer_1" in name for name in inside)
    assert len(inside) == ended.moved + len(ended.still) - 2 > 6


@pytest.mark.slow
def test_adapters_freeze_and_thaw_while_a_run_trains(do: Do, text_recipe: str) -> None:
    code, whole, run = do(
        text_recipe,
        LORA,
        *EVERY_STEP,
        "phase.finetune.steps=8",
        replayed=[
            ReplayedCommand(phase_index=0, step=2, command=Freeze(layers="attention & first:1")),
            ReplayedCommand(phase_index=0, step=4, command=Unfreeze(layers="adapters")),
            ReplayedCommand(phase_index=0, step=5, command=Unfreeze(layers="adapters & attention")),
            ReplayedCommand(phase_index=0, step=6, command=Unfreeze(layers="attention & last:1")),
        ],
    )
    assert code == 0
    assert [each.reason for each in whole.controlled] == [None, None, "'adapters & attention' trains already", None]
    frozen, thawed, full = (each.trainable for each in whole.layer_changes)
    assert frozen < thawed < full
    assert [each.adapters for each in whole.layer_changes] == [80, 160, 160]
    assert all(each.proof.changed == each.proof.stuck == [] for each in whole.layer_changes)
    code, again = go_on(cut_back(run, 5))
    assert code == 0
    assert weights(again) == weights(whole)


@ON_OTHER_BACKENDS
def test_adapters_go_on_exactly_on_other_backends(do: Do, text_recipe: str) -> None:
    sets = (LORA, "phase.finetune.steps=4", "phase.finetune.accumulate=2", "phase.later.ema=0.8", *EVERY_STEP)
    _, whole, run = do(text_recipe + LATER, OWN_BACKEND, *sets)
    check_goes_on(run, whole, [6])
    proofs = [phase["proof"] for phase in whole.summary()["phases"]]
    assert [(each["changed"], each["stuck"]) for each in proofs] == [([], [])] * 2
