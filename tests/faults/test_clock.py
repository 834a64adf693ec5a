"""A clock that is set back, between the processes of a run and during one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ftapp import recipe as recipes
from ftapp.common.durable import replace_file
from ftapp.experiments.listing import summarize
from ftapp.runs.event_reader import read, read_last_time
from ftapp.runs.events import Progressed, RunEnded, RunStarted
from ftapp.runs.interruption import Interruption
from ftapp.runs.phase_events import Stepped
from ftapp.runs.resuming import find_refusal
from ftapp.runs.starting import RunStart
from tests.faults.conftest import Fork, Make, Train
from tests.support.forks import CLOCK
from tests.support.processes import wait_for

DAY = 86400


def set_clock(file: Path, seconds: float) -> None:
    replace_file(file, str(seconds).encode())


@pytest.mark.slow
def test_a_clock_that_is_set_back_changes_no_order_no_duration_and_no_weight(
    make: Make, train: Train, fork: Fork, image_recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ftapp.cli.follow_run import follow_run

    overrides = ("phase.head.steps=120", "checkpoint.every_steps=1", "evaluate.every=25")
    whole = train(make(image_recipe, *overrides))[1]
    run, clock = make(image_recipe, *overrides), tmp_path / "clock"
    set_clock(clock, 0)
    forks = fork(run, **{CLOCK: str(clock)})
    wait_for(lambda: len(run.history().steps) >= 8)
    set_clock(clock, -DAY)
    wait_for(lambda: len(run.history().steps) >= 20)
    forks.interrupt(run, signal.SIGKILL)
    forks.wait(run)
    assert run.status() == "crashed"
    set_clock(clock, -2 * DAY)

    environment = {**os.environ, CLOCK: str(clock)}
    start = RunStart(run, "tiny", recipes.load(run.recipe_file), environment)
    outcome = follow_run(start, forks, Interruption(forks), debug=False)
    output = capsys.readouterr().err
    assert "the run goes on after step" in output
    assert "result: test loss" in output
    assert "data: " not in output  # which the process before has told
    assert outcome["status"] == "done"

    events, history = read(run.events_file), run.history()
    times = [event.time for event in events]
    assert times == sorted(times)
    assert times[-1] - times[0] < DAY / 2
    assert isinstance(next(event for event in events if not isinstance(event, Progressed)), RunStarted)
    assert isinstance(events[-1], RunEnded)
    assert history.happened() == sorted(history.happened(), key=events.index)
    assert list(history.steps.step) == list(range(1, 121))
    assert all(0 <= event.seconds < DAY / 2 for event in events if isinstance(event, Stepped))
    assert history.ended
    assert 0 < history.ended.seconds < DAY / 2
    assert all(0 < each.seconds < DAY / 2 for each in history.timed)
    summary = summarize(run)
    assert (summary.status, summary.steps, summary.final) == ("done", 120, True)
    assert whole.saved
    assert history.saved
    assert history.saved.weights == whole.saved.weights

    # A process that may not go on is told too.
    before = read_last_time(run.events_file)
    run.recipe_file.write_text(
        run.recipe_file.read_text("utf-8").replace("rate = 0.01", "rate = 0.02"), encoding="utf-8"
    )
    assert fork(run, **{CLOCK: str(clock)}).wait(run) == 2
    assert "recipe.toml was changed" in str(find_refusal(run.history(), before))
    assert find_refusal(run.history(), read_last_time(run.events_file)) is None
