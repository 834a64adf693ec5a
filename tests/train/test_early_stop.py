"""Phases that end early, and runs that end with their best weights, also where they were interrupted and resumed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ftapp import recipe as recipes
from ftapp.models import saved_model
from ftapp.recipe.schedule import lengthen
from ftapp.runs.checkpoints import hash_recipe, list_checkpoints
from ftapp.runs.commands import Stop, Unfreeze
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated
from ftapp.training.callbacks.evaluator import Evaluator
from ftapp.training.callbacks.step_log import StepLog
from tests.conftest import Do
from tests.support.backends import ON_OTHER_BACKENDS, OWN_BACKEND
from tests.support.checkpoints import cut_back
from tests.support.histories import without_clocks
from tests.support.recipes import DIVERGES, EVERY_STEP
from tests.train.test_live_freezing import at
from tests.train.test_resume import FINETUNE, TWO_PHASES, check_goes_on, go_on

# Rates at which the tiny model's held-out accuracy goes up and down.
UNSTEADY = ("phase.head.learning_rate=0.3", "phase.finetune.learning_rate=0.3", "phase.finetune.steps=8")
STOP = ("stop.metric=accuracy", "stop.patience=2", "evaluate.every=1", *UNSTEADY)
KEEP = ("keep.best=loss", "evaluate.every=2", *UNSTEADY)


def held_out(history: History) -> list[Evaluated]:
    return [each for each in history.evaluations if not each.final]


def saved_weights(run: Any) -> list[Any]:
    return list(saved_model.load(run.model_folder).model.get_weights())


def test_a_phase_ends_when_patience_is_exhausted_and_the_next_begins_with_the_best_weights(
    do: Do, image_recipe: str
) -> None:
    code, history, _ = do(image_recipe + FINETUNE, *STOP)
    assert code == 0
    head, finetune = history.ended_phases
    evaluations = held_out(history)
    values = [each.metrics["accuracy"] for each in evaluations]
    # By hand: the first step of the phase after which two evaluations in a row are no better than the best before.
    ends = next(step for step in range(2, len(values)) if max(values[step - 1 : step + 1]) <= max(values[: step - 1]))
    assert head.steps == ends < history.phases[0].steps
    best = values.index(max(values[: ends + 1]))
    assert 0 < best < ends
    assert head.stopped == f"2 evaluations without a better accuracy than {values[best]:.4f} at step {best}"
    restored = history.restored[0]
    assert (restored.step, restored.best_step, restored.metric, restored.value) == (
        ends,
        best,
        "accuracy",
        values[best],
    )
    assert history.phases[1].first_step == ends + 1
    assert finetune.steps <= history.phases[1].steps
    # The learning rate keeps the planned length of the phase.
    assert history.phases[0].steps == 9


def test_the_schedule_keeps_the_planned_length(do: Do, image_recipe: str) -> None:
    never = ("stop.patience=2", "stop.min_delta=1000", "evaluate.every=1", "phase.head.schedule=linear")
    _, history, _ = do(image_recipe, *never)
    assert [step.rate for step in history.steps] == pytest.approx([0.01, 0.01 * 8 / 9])
    assert history.ended_phases[0].stopped == (
        f"2 evaluations without a better loss than {history.evaluations[0].loss:.4f} at step 0"
    )


def test_a_run_ends_with_its_best_weights(do: Do, image_recipe: str) -> None:
    _, whole, run = do(image_recipe + FINETUNE, *KEEP, "phase.finetune.learning_rate=3", *EVERY_STEP)
    best = min(held_out(whole), key=lambda each: each.loss)
    assert whole.saved is not None
    assert whole.result is not None
    assert whole.result.step == whole.saved.step == best.step < len(whole.steps)
    assert best.step < whole.phases[1].first_step, "of the first phase, whose weights the second one trains"
    assert (whole.restored[-1].best_step, whole.restored[-1].value) == (best.step, best.loss)
    assert json.loads((run.model_folder / "ftapp.json").read_text("utf-8"))["step"] == best.step
    # They are the weights of a run that ends there, and so is the result.
    _, shorter, other = do(image_recipe, *UNSTEADY[:1], f"phase.head.steps={best.step}", "evaluate.every=2")
    for one, two in zip(saved_weights(run), saved_weights(other), strict=True):
        np.testing.assert_array_equal(one, two)
    assert shorter.result is not None
    assert whole.result.loss == pytest.approx(shorter.result.loss, rel=1e-5)
    assert whole.kept == whole.restored[-1]


def test_the_last_step_of_each_phase_is_evaluated_where_the_best_weights_are_kept(do: Do, image_recipe: str) -> None:
    seldom = ("evaluate.every=100", "phase.head.steps=3", "phase.finetune.steps=2")
    _, history, _ = do(image_recipe + FINETUNE, *seldom, "keep.best=loss")
    assert [each.step for each in held_out(history)] == [0, 3, 5]
    best = min(held_out(history), key=lambda each: each.loss)
    assert history.saved is not None
    assert history.saved.step == best.step > 0
    _, without, _ = do(image_recipe + FINETUNE, *seldom)
    assert [each.step for each in held_out(without)] == [0]


def test_a_run_that_is_stopped_before_a_step_was_evaluated_keeps_what_it_has_trained(do: Do, image_recipe: str) -> None:
    sets = ("keep.best=loss", "evaluate.every=1000")
    code, history, _ = do(image_recipe, *sets, replayed=[at(4, Stop())])
    assert code == 130
    assert history.saved is not None
    assert history.saved.step == 4
    assert not history.restored


def test_no_best_weights_are_kept_if_the_recipe_says_so(do: Do, image_recipe: str) -> None:
    _, with_none, _ = do(image_recipe + FINETUNE, *STOP, "keep.best=none")
    assert with_none.ended_phases[0].stopped
    assert not with_none.restored
    assert with_none.saved is not None
    assert with_none.saved.step == len(with_none.steps)
    assert with_none.kept is None


@pytest.mark.slow
@pytest.mark.parametrize("sets", [STOP, KEEP], ids=["stop", "keep"])
def test_a_run_goes_on_from_any_step_to_the_same_best_weights(sets: tuple[str, ...], do: Do, image_recipe: str) -> None:
    code, whole, run = do(image_recipe + TWO_PHASES, *sets, *EVERY_STEP)
    assert code == 0
    assert whole.saved is not None
    assert whole.kept is not None
    end = whole.ended_phases[0].steps
    steps = sorted(step for step, _ in list_checkpoints(run))
    assert steps == list(range(1, len(whole.steps) + 1))
    for step in sorted({2, end - 1, end, end + 1, steps[-1]}):
        code, again = go_on(cut_back(run, step))
        assert code == 0
        assert again.saved is not None
        assert again.saved.weights == whole.saved.weights, step
        assert [each.step for each in again.resumed] == [step]
        assert without_clocks(again) == without_clocks(whole), step


@ON_OTHER_BACKENDS
def test_best_weights_and_an_early_end_are_exact_on_other_backends(do: Do, image_recipe: str) -> None:
    _, history, run = do(image_recipe + TWO_PHASES, OWN_BACKEND, *STOP, *EVERY_STEP)
    check_goes_on(run, history, [len(history.steps) - 1])
    whole = history.summary()
    assert whole["phases"][0]["outcome"]["stopped"]
    assert whole["restored"]
    assert whole["weights_step"] == whole["restored"][-1]["best_step"]


@pytest.mark.slow
def test_a_run_that_is_stopped_when_patience_is_exhausted_goes_on_to_the_same_weights(
    do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the evaluation that exhausts it, and behind that."""
    _, whole, _ = do(image_recipe + TWO_PHASES, *STOP)
    end = whole.ended_phases[0].steps
    kinds: list[Any] = [StepLog, Evaluator]
    for kind in kinds:
        hook = kind.on_step_end

        def stop(self: Any, state: Any, result: Any, hook: Any = hook) -> None:
            hook(self, state, result)
            if state.position.run_step == end:
                self._control.stop_status = "interrupted"

        with monkeypatch.context() as patch:
            patch.setattr(kind, "on_step_end", stop)
            code, stopped, run = do(image_recipe + TWO_PHASES, *STOP)
        assert code == 130, kind
        assert len(stopped.steps) == end, kind
        assert stopped.saved is not None
        assert stopped.saved.step == whole.restored[0].best_step, "the model of an interrupted run has the best weights"
        assert [step for step, _ in list_checkpoints(run)] == [end]
        code, again = go_on(run)
        assert code == 0
        assert again.saved is not None
        assert whole.saved is not None
        assert again.saved.weights == whole.saved.weights, kind
        assert without_clocks(again) == without_clocks(whole), kind


def test_more_steps_after_an_early_end_count_anew(do: Do, image_recipe: str) -> None:
    never = ("stop.patience=2", "stop.min_delta=1000", "evaluate.every=1")
    _, ended, run = do(image_recipe, *never)
    assert len(ended.steps) == 2
    recipe = recipes.load(run.recipe_file)
    run.recipe_file.write_text(lengthen(recipe, 12).to_toml(), encoding="utf-8")
    code, again = go_on(run)
    assert code == 0
    assert [each.step for each in again.resumed] == [2]
    assert len(again.steps) == 4
    assert again.ended_phases[0].stopped == (
        f"2 evaluations without a better loss than {again.evaluations[2].loss:.4f} at step 2"
    )


def test_layers_that_thawed_after_the_best_weights_go_back_to_their_first_ones(do: Do, image_recipe: str) -> None:
    thaw = [at(4, Unfreeze(layers="last:1"))]
    _, whole, run = do(image_recipe, "phase.head.steps=8", *KEEP[:2], *UNSTEADY[:1], *EVERY_STEP, replayed=thaw)
    assert whole.layer_changes[0].step == 4
    assert whole.kept is not None
    assert whole.saved is not None
    best = whole.kept.best_step
    assert 0 < best <= 4
    _, shorter, _ = do(image_recipe, f"phase.head.steps={best}", *UNSTEADY[:1])
    assert shorter.saved is not None
    assert whole.saved.weights == shorter.saved.weights
    for step in (4, 6):
        code, again = go_on(cut_back(run, step))
        assert code == 0
        assert again.saved is not None
        assert again.saved.weights == whole.saved.weights
        assert without_clocks(again) == without_clocks(whole)


def test_a_loss_that_is_not_finite_leaves_the_best_weights(do: Do, image_recipe: str) -> None:
    diverges = [override.replace("phase.head", "phase.finetune") for override in DIVERGES]
    code, history, run = do(image_recipe + FINETUNE, *diverges, "phase.finetune.steps=30", "keep.best=loss")
    assert code == 1
    assert history.saved is not None
    best = min(held_out(history), key=lambda each: each.loss)
    assert 0 < best.step < history.phases[1].first_step <= len(history.steps)
    assert history.saved.step == history.restored[-1].best_step == best.step
    assert json.loads((run.model_folder / "ftapp.json").read_text("utf-8"))["step"] == best.step
    assert all(np.isfinite(each).all() for each in saved_weights(run))


def test_the_hash_of_a_recipe_has_what_decides_about_the_weights(image_recipe: str) -> None:
    text = recipes.parse(image_recipe).to_toml()

    def hash_with(tables: str) -> str:
        return hash_recipe(recipes.parse(f"{text}\n{tables}"))

    plain, stop = hash_with(""), hash_with("[stop]\npatience = 3")
    assert plain == hash_with('[keep]\nbest = "none"')
    assert stop == hash_with('[stop]\npatience = 3\n[keep]\nbest = "loss"')
    others = ["[stop]\npatience = 2", '[stop]\npatience = 3\n[keep]\nbest = "none"', '[keep]\nbest = "loss"']
    assert len({plain, stop, *map(hash_with, others)}) == 5
