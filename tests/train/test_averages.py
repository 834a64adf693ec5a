"""Runs that average their weights, and runs that accumulate gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ftapp.models import saved_model
from ftapp.runs.checkpoints import list_checkpoints, read_facts
from ftapp.runs.commands import Freeze
from ftapp.runs.replay import ReplayedCommand
from ftapp.training.checkpoint import read_checkpoint
from tests.conftest import Do, Finished
from tests.support.recipes import EVERY_STEP


def test_a_run_ends_with_the_averages_that_it_evaluates(do: Do, image_recipe: str, finished: Finished) -> None:
    command = ReplayedCommand(phase_index=0, step=2, command=Freeze(layers="all"))
    code, history, run = do(image_recipe, "phase.head.ema=0.9", *EVERY_STEP, replayed=[command])
    assert code == 0
    [(_, folder), *_] = list_checkpoints(run)
    facts = read_facts(folder)
    assert facts is not None
    checkpoint = read_checkpoint(folder, facts)
    kernel = np.array(saved_model.load(run.model_folder).model.get_layer("classifier").kernel)
    assert not np.array_equal(kernel, checkpoint.weights["classifier/kernel"])
    assert any(np.array_equal(kernel, value) for value in checkpoint.optimizer.values)
    assert history.controlled[0].reason is not None
    assert "averages its weights" in history.controlled[0].reason
    plain, _ = finished
    assert history.steps.loss == plain.steps.loss, "averages change no step"
    assert history.evaluations[0].loss == plain.evaluations[0].loss
    assert history.evaluations[-1].loss != plain.evaluations[-1].loss


def test_weights_of_the_last_steps_are_averaged_equally(do: Do, image_recipe: str, finished: Finished) -> None:
    code, history, run = do(image_recipe, "phase.head.swa=0.5")
    assert code == 0
    plain, other = finished
    assert history.steps.loss == plain.steps.loss, "averages change no step"
    kernels = {}
    for step, folder in list_checkpoints(other):
        facts = read_facts(folder)
        assert facts is not None
        kernels[step] = read_checkpoint(folder, facts).weights["classifier/kernel"]
    steps = len(plain.steps)
    assert steps == 9
    averaged = np.mean([kernels[step] for step in range(5, steps + 1)], axis=0)
    saved = np.array(saved_model.load(run.model_folder).model.get_layer("classifier").kernel)
    assert np.allclose(saved, averaged, atol=1e-6)
    assert not np.allclose(saved, kernels[steps], atol=1e-6)


@pytest.mark.slow
def test_steps_count_batches_and_a_phase_ends_with_an_update(do: Do, text_recipe: str) -> None:
    sets = ("phase.finetune.steps=", "phase.finetune.epochs=2")
    code, history, _ = do(text_recipe, *sets, "phase.finetune.accumulate=5", "phase.finetune.schedule=linear")
    assert code == 0
    assert history.data is not None
    plain = 2 * math.ceil(history.data.train / 8)
    started, ended = history.phases[0], history.ended_phases[0]
    assert plain % 5
    assert started.steps == ended.steps == len(history.steps) == plain // 5 * 5
    assert (ended.changed, ended.stuck) == ([], [])
    assert [each.last_step for each in history.drifts if each.step % 5] == [None, None], "no update was made there"
