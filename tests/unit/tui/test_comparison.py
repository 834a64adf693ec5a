"""What runs have and have not in common."""

from __future__ import annotations

import numpy as np
import pytest

from ftapp import recipe
from ftapp.runs.events import AnyEvent, BestRestored, ModelSaved, RunEnded, RunStarted
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated, PhaseStarted, Stepped
from ftapp.tui import comparison
from ftapp.tui.comparison import collect_results, drop_hidden_points, find_differences, pair_losses


def history(*losses: float, first: int = 1, seconds: float = 0.5) -> History:
    return History.of(
        Stepped(time=10.0 + number, step=number, epoch=1, loss=loss, rate=0.1, seconds=seconds, memory=number)
        for number, loss in enumerate(losses, first)
    )


def test_recipes_that_are_the_same_do_not_differ() -> None:
    raw = recipe.read(recipe.bundled()["bert-full"])
    assert find_differences([raw, raw]) == []


def test_differences_name_phases_and_hold_every_value() -> None:
    one = {
        "title": "one",
        "seed": 0,
        "model": {"preset": "a", "normalize": True},
        "phase": [{"name": "head", "epochs": 3, "layers": ["freeze all", "train head"]}],
    }
    two = {
        "title": "two",
        "seed": 0,
        "model": {"preset": "b", "normalize": True, "dropout": 0.1},
        "phase": [
            {"name": "head", "epochs": 5, "layers": ["freeze all", "train head"]},
            {"name": "all", "steps": 7, "learning_rate": {"head": 1e-3}},
        ],
    }
    assert dict(find_differences([one, two])) == {
        "model.preset": ("a", "b"),
        "model.dropout": ("", "0.1"),
        "phase.head.epochs": ("3", "5"),
        "phase.all.steps": ("", "7"),
        "phase.all.learning_rate.head": ("", "0.001"),
        "phase": ("head", "head, all"),
    }


def test_a_recipe_that_cannot_be_read_is_left_out_of_account() -> None:
    assert find_differences([{"seed": 0}, None]) == []
    assert find_differences([{"seed": 0}, None, {"seed": 1}]) == [("seed", ("0", "?", "1"))]
    assert find_differences([None, None]) == []


def test_bundled_recipes_differ_in_what_they_say_they_do() -> None:
    full, head = (recipe.read(recipe.bundled()[name]) for name in ("bert-full", "bert-head-only"))
    assert "phase.finetune.layers" in dict(find_differences([full, head]))


def test_results_of_an_ended_run() -> None:
    events: list[AnyEvent] = [
        RunStarted(time=9.0, recipe="r", seed=0, backend="jax", device="cpu", precision="float32", reason="so"),
        PhaseStarted(
            time=9.0, phase="p", first_step=1, steps=2, epochs=1, trainable=5, parameters=20, trainable_layers=[]
        ),
    ]
    made = history(3.0, 2.0, seconds=0.25)
    made.apply_all(events)
    assert (collect_results(made).seconds, collect_results(made).metrics, collect_results(made).final) == (
        3.0,
        {},
        False,
    )
    made.apply(Evaluated(time=13.0, step=2, split="test", examples=9, loss=1.5, metrics={"accuracy": 0.5}, seconds=1.0))
    assert (collect_results(made).metrics["loss"], collect_results(made).final) == (1.5, False)
    made.apply(Evaluated(time=13.0, step=2, split="test", examples=9, loss=1.2, seconds=1.0, final=True))
    made.apply(RunEnded(time=14.0, status="done", steps=2, seconds=5.0))
    found = collect_results(made)
    assert (found.steps, found.metrics, found.final) == (2, {"loss": 1.2}, True)
    assert found.best_step is None
    assert (found.share, found.seconds, found.pace, found.memory) == (0.25, 5.0, 4.0, 2)


def test_results_name_the_step_of_the_best_weights() -> None:
    made = history(3.0, 2.0)
    made.apply(BestRestored(time=13.0, step=2, best_step=1, metric="loss", value=1.5))
    made.apply(ModelSaved(time=13.0, folder="model", step=1))
    assert collect_results(made).best_step == 1


def test_results_of_a_run_that_has_done_nothing() -> None:
    found = collect_results(History())
    assert (found.steps, found.metrics, found.seconds, found.pace, found.memory) == (0, {}, None, None, None)


def test_losses_are_paired_by_step() -> None:
    pairs = pair_losses(history(1.0, 2.0, 3.0), history(20.0, 2.5, 40.0, first=2))
    assert pairs.x.tolist() == [2.0, 3.0]
    assert pairs.y.tolist() == [20.0, 2.5]
    assert (pairs.count, pairs.lower, pairs.are_equal) == (2, 1, False)
    assert pair_losses(history(1.0), History()).count == 0
    assert pair_losses(history(1.0, 2.0), history(1.0)).are_equal


def test_very_many_pairs_keep_exact_counts_and_points_on_all_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = np.random.default_rng(0).uniform(size=(2, 5000)).round(2)
    runs = [history(*map(float, each)) for each in losses]
    whole = pair_losses(*runs)
    monkeypatch.setattr(comparison, "LONG", 1000)
    monkeypatch.setattr(comparison, "_AT_ONCE", 300)
    some = pair_losses(*runs)
    assert (some.count, some.lower) == (whole.count, whole.lower) == (5000, (losses[1] < losses[0]).sum())
    assert len(some.x) < 5000
    assert set(zip(some.x, some.y, strict=True)) == set(zip(whole.x, whole.y, strict=True))


def test_thinning_keeps_a_point_on_each_dot() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 100_000))
    thin_x, thin_y = drop_hidden_points(x, y, 40, 30)
    assert len(thin_x) <= 41 * 31
    assert thin_x.min() == pytest.approx(x.min(), abs=0.3)
    assert thin_y.max() == pytest.approx(y.max(), abs=0.4)
    few = np.array([1.0, 2.0]), np.array([5.0, 9.0])
    assert [part.tolist() for part in drop_hidden_points(*few, 40, 30)] == [part.tolist() for part in few]
    assert [len(part) for part in drop_hidden_points(np.empty(0), np.empty(0), 4, 3)] == [0, 0]
