"""Trials as their folders tell them: the measure, the finalists and the frontier."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp.experiments.sweep.trials import (
    OWN,
    SweepTrial,
    choose_finalists,
    find_frontier,
    measure_validation,
    rank_trials,
)
from ftapp.recipe.metrics import ACCURACY, LOSS, Metric
from ftapp.runs.events import BestRestored, ModelSaved
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated
from ftapp.runs.run_folder import RunFolder


def evaluated(step: int, accuracy: float, split: str = "validation", *, final: bool = False) -> Evaluated:
    return Evaluated(
        time=0, step=step, split=split, examples=8, loss=1 - accuracy, metrics={"accuracy": accuracy}, seconds=0,
        final=final,
    )  # fmt: skip


def make_trials(**values: float | None) -> list[SweepTrial]:
    return [SweepTrial(arm, {}, RunFolder(Path(arm)), "done", value) for arm, value in values.items()]


def test_a_trial_is_measured_on_validation_after_its_last_step() -> None:
    events = [evaluated(0, 0.99), evaluated(5, 0.6), evaluated(10, 0.7), evaluated(10, 0.9, "test", final=True)]
    assert measure_validation(History.of(events), "accuracy") == 0.7
    assert measure_validation(History.of(events), "loss") == pytest.approx(0.3)
    assert measure_validation(History.of(events[:1]), "accuracy") is None, "nothing was learned before the first step"
    assert measure_validation(History.of([evaluated(5, 0.9, "test")]), "accuracy") is None
    assert measure_validation(History.of([evaluated(5, float("nan"))]), "accuracy") is None


def test_a_run_that_keeps_its_best_weights_is_measured_with_these() -> None:
    restored = BestRestored(time=0, step=10, best_step=5, metric="accuracy", value=0.8)
    saved = ModelSaved(time=0, folder="model", step=5)
    history = History.of([evaluated(5, 0.8), evaluated(10, 0.7), restored, saved])
    assert measure_validation(history, "accuracy") == 0.8
    first = BestRestored(time=0, step=10, best_step=0, metric="accuracy", value=0.9)
    history = History.of([evaluated(0, 0.9), evaluated(5, 0.8), first, ModelSaved(time=0, folder="model", step=0)])
    assert measure_validation(history, "accuracy") == 0.9, "no step made the weights better"


def test_finalists_are_the_best_of_those_that_were_better_than_the_recipe() -> None:
    trials = make_trials(recipe=0.7, a=0.9, b=0.7, c=None, d=0.95, e=0.6, f=0.8)
    assert [each.arm for each in rank_trials(trials, ACCURACY)] == ["d", "a", "f", OWN, "b", "e"]
    assert [each.arm for each in choose_finalists(trials, ACCURACY, 2)] == ["d", "a"]
    assert [each.arm for each in choose_finalists(trials, LOSS, 3)] == ["e"]
    assert choose_finalists(make_trials(recipe=0.7, a=0.7), ACCURACY, 3) == []


def test_a_recipe_without_a_result_is_worse_than_any_trial() -> None:
    assert [each.arm for each in choose_finalists(make_trials(recipe=None, a=0.1), ACCURACY, 3)] == ["a"]


@pytest.mark.parametrize(
    ("metric", "expected"), [(ACCURACY, [(1, 0.5), (2, 0.8), (5, 0.9)]), (LOSS, [(1, 0.5), (3, 0.4)])]
)
def test_no_point_is_cheaper_and_better_than_one_of_the_frontier(
    metric: Metric, expected: list[tuple[float, float]]
) -> None:
    points = [(5, 0.9), (1, 0.5), (3, 0.4), (2, 0.8), (6, 0.9), (1, 0.5)]
    assert [points[index] for index in find_frontier(points, metric)] == expected
