"""How far a run is and how long it has to go."""

from __future__ import annotations

import pytest

from ftapp import recipe
from ftapp.recipe import Recipe
from ftapp.runs.events import AnyEvent, Controlled, DataLoaded, Resumed, RunEnded
from ftapp.runs.history import History
from ftapp.runs.phase_events import PhaseEnded, PhaseStarted, Stepped
from ftapp.tui.run_progress import estimate_remaining, list_phases


@pytest.fixture
def two_phases() -> Recipe:
    lengths = ["phase.head.epochs=3", "phase.finetune.epochs=2"]  # of batches of 32
    return recipe.load(recipe.find("vgg16-two-phase"), "quick", lengths)


def started(name: str, first: int, steps: int) -> PhaseStarted:
    return PhaseStarted(
        time=0, phase=name, first_step=first, steps=steps, epochs=1, trainable=1, parameters=2, trainable_layers=["a"]
    )


def ended(name: str, steps: int) -> PhaseEnded:
    return PhaseEnded(
        time=0,
        phase=name,
        steps=steps,
        seconds=1,
        preparing=0,
        training=1,
        evaluating=0,
        memory=1,
        frozen=1,
        digest="",
        moved=1,
    )


def steps(count: int, pace: float) -> list[AnyEvent]:
    return [
        Stepped(time=number * pace, step=number, epoch=1, loss=1, rate=1, seconds=pace, memory=1)
        for number in range(1, count + 1)
    ]


LOADED = DataLoaded(time=0, train=100, validation=1, test=1, classes=[], duplicates=0)


def test_lengths_are_known_once_the_data_is(two_phases: Recipe) -> None:
    assert [phase.total for phase in list_phases(History(), two_phases)] == [None, None]
    found = list(list_phases(History.of([LOADED]), two_phases))
    assert [(phase.name, phase.done, phase.total) for phase in found] == [("head", 0, 12), ("finetune", 0, 8)]


def test_phases_that_end_early_and_go_on(two_phases: Recipe) -> None:
    events = [LOADED, started("head", 1, 12), *steps(15, 1.0), ended("head", 12), started("finetune", 13, 8)]
    assert [phase.done for phase in list_phases(History.of(events), two_phases)] == [12, 3]


def test_the_time_to_go_is_that_of_all_phases_at_the_pace_of_late(two_phases: Recipe) -> None:
    events = [LOADED, started("head", 1, 12), *steps(4, 2.0)]
    assert estimate_remaining(History.of(events[:3]), two_phases) is None
    assert estimate_remaining(History.of(events), two_phases) == pytest.approx((8 + 8) * 2.0)
    over = RunEnded(time=9, status="done", steps=4, seconds=9)
    assert estimate_remaining(History.of([*events, over]), two_phases) is None


def test_the_time_before_a_resume_is_no_part_of_the_pace(two_phases: Recipe) -> None:
    seam = Resumed(time=100.0, step=3, phase_steps=12)
    later = [
        Stepped(time=100.0 + number, step=number, epoch=1, loss=1, rate=1, seconds=1, memory=1) for number in (4, 5)
    ]
    events = [LOADED, started("head", 1, 12), *steps(3, 9.0), seam, *later]
    assert estimate_remaining(History.of(events[:-1]), two_phases) is None
    assert estimate_remaining(History.of(events), two_phases) == pytest.approx((7 + 8) * 1.0)


def test_pauses_are_no_part_of_the_pace(two_phases: Recipe) -> None:
    slow = steps(3, 10.0)
    paused = [
        Controlled(time=20.0, id="a", command="pause", applied=True, step=2),
        Controlled(time=28.0, id="b", command="resume", applied=True, step=2),
    ]
    events = [LOADED, started("head", 1, 12), *slow, *paused]
    assert estimate_remaining(History.of(events), two_phases) == pytest.approx((9 + 8) * (20.0 - 8.0) / 2)
