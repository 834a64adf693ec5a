"""Memory or file handles that run out: nothing is told as saved that is not, and a resume recovers."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ftapp.common.cache_folders import find_changes, matches_manifest
from ftapp.runs.checkpoints import list_checkpoints
from ftapp.runs.event_reader import read
from ftapp.runs.events import StateSaved
from ftapp.runs.run_folder import RunFolder
from tests.faults.conftest import Fork, Make, Train
from tests.support.forks import Forks

EVERY_STEP = ("phase.head.steps=40", "evaluate.every=10", "checkpoint.every_steps=1")


def has_steps(run: RunFolder, count: int) -> Callable[[], bool]:
    return lambda: len(run.history().steps) >= count


def wait_until(is_reached: Callable[[], bool], seconds: float = 100.0) -> None:
    """Wait until something is reached, or for so long."""
    deadline = time.monotonic() + seconds
    while not is_reached() and time.monotonic() < deadline:
        time.sleep(0.0005)


def has_trained(run: RunFolder) -> Callable[[], bool]:
    return has_steps(run, 3)


def saves_model(run: RunFolder) -> Callable[[], bool]:
    return lambda: bool(list(run.folder.glob(".model.*.tmp/preset/*")))


def use_up_handles(pid: int) -> None:
    """Leave a process as many file handles as it has."""
    most = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def use_up_memory(pid: int) -> None:
    """Leave a process as much memory as it has."""
    used = psutil.Process(pid).memory_info().vms
    resource.prlimit(pid, resource.RLIMIT_AS, (used, resource.RLIM_INFINITY))


def end_without(use_up: Callable[[int], None], is_reached: Callable[[], bool], forks: Forks, run: RunFolder) -> None:
    """Use up what a process has left at a moment, and wait for its end."""
    wait_until(lambda: is_reached() or not forks.alive(run))
    use_up(forks.pid)
    # Without memory a library may stand still; a run's watchdog ends it after ten minutes.
    wait_until(lambda: not forks.alive(run), seconds=8)
    forks.interrupt(run, signal.SIGKILL)


@pytest.mark.slow
def test_a_run_without_memory_or_handles_loses_nothing_that_was_saved(
    make: Make, train: Train, fork: Fork, image_recipe: str
) -> None:
    whole = train(make(image_recipe, *EVERY_STEP))[1].saved
    assert whole
    for use_up, moment in ((use_up_handles, saves_model), (use_up_memory, has_trained)):
        run = make(image_recipe, *EVERY_STEP)
        forks = fork(run)
        end_without(use_up, moment(run), forks, run)
        code, history = forks.wait(run), run.history()
        result = {event.step for event in read(run.events_file) if isinstance(event, StateSaved)}
        saved = {step for step, folder in list_checkpoints(run) if matches_manifest(folder)}
        assert (code == 0) is (history.saved is not None and not history.saved.flaw)
        assert max(result, default=0) in {0, *saved}
        assert history.saved is None or find_changes(run.model_folder) == []
        if code:
            code, history = train(run)
        assert code == 0
        assert history.saved
        assert history.saved.weights == whole.weights
