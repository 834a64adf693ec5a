"""A history's columns of steps, and histories that follow their files."""

from __future__ import annotations

import errno
import itertools
import math
import random
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftapp.common.unnamed_files import reserve
from ftapp.runs import step_column
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import AnyEvent, BestRestored, ModelSaved, RunEnded
from ftapp.runs.history import Follower, History
from ftapp.runs.phase_events import Evaluated, PhaseStarted, Stepped
from ftapp.runs.step_column import StepColumn
from ftapp.runs.steps import FIELDS, Steps


def step(number: int, accuracy: float | None = None) -> Stepped:
    return Stepped(
        time=1000.0 + number,
        step=number,
        epoch=1 + number // 10,
        loss=1 / number,
        metrics={} if accuracy is None else {"accuracy": accuracy},
        rate=1e-3,
        seconds=0.01 * number,
        memory=2**33 + number,
    )


def evaluation(number: int) -> Evaluated:
    return Evaluated(time=1000.0 + number, step=number, split="test", examples=9, loss=0.5, seconds=1.0)


def test_steps_come_back_as_they_were() -> None:
    events = [step(1), step(2, 0.0), step(3, 0.75), step(4)]
    steps = Steps()
    steps.append(events[0])
    steps.extend(events[1:])
    assert list(steps) == events
    assert (len(steps), steps[0], steps[-1]) == (4, events[0], events[-1])
    assert steps[1:3] == events[1:3]
    assert steps[-10:] == events
    assert steps[::-2] == [events[3], events[1]]
    assert not steps[9:]


def test_columns_hold_what_the_events_do() -> None:
    steps = Steps()
    steps.extend([step(1), step(2, 0.25)])
    assert steps.step == array("q", [1, 2])
    assert steps.memory == array("q", [2**33 + 1, 2**33 + 2])
    assert steps.loss == array("d", [1.0, 0.5])
    assert math.isnan(steps.column("accuracy")[0])
    assert steps.column("accuracy")[1] == 0.25
    for name in ("time", "epoch", "rate", "seconds"):
        assert list(steps.column(name)) == [getattr(step(1), name), getattr(step(2), name)]


@pytest.fixture(params=[2**20, 2], ids=["memory", "files"])
def in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Numbers up to which columns are in memory."""
    most: int = request.param
    monkeypatch.setattr(step_column, "IN_MEMORY", most)
    return most


@pytest.mark.usefixtures("in_memory")
def test_a_step_that_counts_is_there_whoever_looks_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    extend, seen = StepColumn.extend, []

    def look(column: StepColumn, values: bytes) -> None:
        extend(column, values)
        seen.append(list(steps))  # as another thread may

    steps = Steps()
    steps.append(step(1))
    monkeypatch.setattr(StepColumn, "extend", look)
    steps.extend([step(2), step(3)])
    assert seen[:-1] == [[step(1)]] * 7
    assert seen[-1] == [step(1), step(2), step(3)]


@pytest.mark.usefixtures("in_memory")
def test_a_column_in_use_stays_as_it_is_while_steps_come() -> None:
    steps = Steps()
    for number in range(1, 6):
        before = list(steps)
        with memoryview(steps.loss) as view:
            steps.append(step(number, 0.5 if number > 3 else None))
            assert list(view) == [each.loss for each in before]
        assert list(steps) == [*before, step(number, 0.5 if number > 3 else None)]


def test_columns_in_files_are_like_those_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [step(number, number / 50 if number > 20 else None) for number in range(1, 50)]
    short = Steps()
    short.extend(events)
    monkeypatch.setattr(step_column, "IN_MEMORY", 10)
    reserved: list[int] = []

    def remember(file: Any, size: int) -> None:
        reserved.append(size)
        reserve(file, size)

    monkeypatch.setattr(step_column, "reserve", remember)
    long = Steps()
    for start in range(0, 49, 7):
        long.extend(events[start : start + 7])
    assert max(reserved) == 400
    assert list(long) == list(short) == events
    assert long[-3:] == events[-3:]
    for name in (*FIELDS, "accuracy"):
        assert long.column(name) == short.column(name) or name in ("gradient_norm", "accuracy")
        assert np.array_equal(np.asarray(long.column(name)), np.asarray(short.column(name)), equal_nan=True)


@pytest.mark.parametrize("refused_from", [1, 12])
def test_without_room_on_the_disk_columns_are_in_memory(monkeypatch: pytest.MonkeyPatch, refused_from: int) -> None:
    calls = itertools.count(1)

    def refuse(file: Any, size: int) -> None:
        if next(calls) >= refused_from:
            raise OSError(errno.ENOSPC, "No space left on device")
        reserve(file, size)

    monkeypatch.setattr(step_column, "IN_MEMORY", 10)
    monkeypatch.setattr(step_column, "reserve", refuse)
    steps = Steps()
    for number in range(1, 50):
        steps.append(step(number))
    assert list(steps) == [step(number) for number in range(1, 50)]


def test_events_together_tell_the_same_as_one_by_one() -> None:
    events: list[AnyEvent] = [step(number, random.Random(number).random()) for number in range(1, 40)]
    for place in (0, 7, 30):
        events.insert(place, evaluation(place))
    ended = RunEnded(time=2.0, status="done", steps=39, seconds=3.0)
    phase = PhaseStarted(
        time=0.0, phase="p", first_step=1, steps=39, epochs=4, trainable=1, parameters=2, trainable_layers=[]
    )
    one_by_one = History()
    for event in [phase, *events, ended]:
        one_by_one.apply(event)
    together = History.of([phase, *events, ended])
    assert list(together.steps) == list(one_by_one.steps)
    assert together.evaluations == one_by_one.evaluations
    assert together.summary() == one_by_one.summary()
    assert together.summary()["peak_memory"] == 2**33 + 39


def test_a_follower_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    follower = Follower(path)
    assert not follower.advance()
    log = EventLog(path)
    for number in range(1, 101):
        log.write(step(number))
    assert follower.advance(limit=1000)
    assert 0 < len(follower.history.steps) < 20
    while follower.advance(limit=1000):
        pass
    assert list(follower.history.steps.step) == list(range(1, 101))
    log.write(step(101))
    log.write(evaluation(101))
    assert not follower.advance()
    assert follower.history.steps[-1] == step(101)
    assert follower.history.evaluations == [evaluation(101)]
    assert list(History.of_file(path).steps) == list(follower.history.steps)


def test_a_follower_of_a_file_that_is_replaced_forgets_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    follower = Follower(path)
    log = EventLog(path)
    log.write(step(1))
    log.write(step(2))
    follower.advance()
    path.unlink()
    EventLog(path).write(step(7))
    follower.advance()
    assert list(follower.history.steps) == [step(7)]


def test_best_weights_are_those_of_the_model_until_a_later_step_is_better() -> None:
    before_phase = BestRestored(time=1.0, step=30, best_step=18, metric="loss", value=0.5)
    at_end = BestRestored(time=2.0, step=60, best_step=18, metric="loss", value=0.5)
    assert History.of([before_phase]).kept is None, "there is no model yet"
    assert History.of([before_phase, ModelSaved(time=3.0, folder="model", step=60)]).kept is None
    found = History.of([before_phase, at_end, ModelSaved(time=3.0, folder="model", step=18)])
    assert found.kept == at_end
    summary = found.summary()
    assert summary["weights_step"] == 18
    assert summary["restored"][-1] == {"step": 60, "best_step": 18, "metric": "loss", "value": 0.5}
    assert History().summary()["weights_step"] is None
