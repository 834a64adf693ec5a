"""SIGKILL at any moment, also while a checkpoint or the model is saved: the run goes on to the same weights."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ftapp.common.cache_folders import find_changes, matches_manifest
from ftapp.runs.checkpoints import list_checkpoints
from ftapp.runs.run_folder import RunFolder
from tests.faults.conftest import Fork, Make, Train
from tests.support.forks import Forks
from tests.support.histories import without_clocks

EVERY_STEP = ("phase.head.steps=120", "evaluate.every=8", "checkpoint.every_steps=1", "checkpoint.keep=2")


def newest_step(run: RunFolder) -> int:
    return next((step for step, _ in list_checkpoints(run)), 0)


def at_any_time(run: RunFolder, chance: random.Random) -> Callable[[], bool]:
    end = time.monotonic() + chance.uniform(0.0, 2.0)
    return lambda: time.monotonic() >= end


def after_some_steps(run: RunFolder, chance: random.Random) -> Callable[[], bool]:
    step = newest_step(run) + chance.randint(1, 8)
    return lambda: newest_step(run) >= step


def while_a_checkpoint_is_saved(run: RunFolder, chance: random.Random) -> Callable[[], bool]:
    step = newest_step(run) + chance.randint(1, 8)
    return lambda: newest_step(run) >= step and bool(list(run.checkpoints_folder.glob(".state-*.tmp")))


def while_the_model_is_saved(run: RunFolder, chance: random.Random) -> Callable[[], bool]:
    files = chance.randint(1, 8)
    return lambda: sum(map(Path.is_file, run.folder.glob(".model.*.tmp/**/*"))) >= files


# The model is saved at the end, so those moments come last.
MOMENTS = [at_any_time, after_some_steps, while_a_checkpoint_is_saved] * 2 + [while_the_model_is_saved] * 2


def kill(forks: Forks, run: RunFolder, moment: Callable[[], bool]) -> int:
    """Kill a run's process at a moment, unless it has ended before: its exit code."""
    while forks.alive(run) and not moment():
        time.sleep(0.0005)
    forks.interrupt(run, signal.SIGKILL)
    return forks.wait(run)


@pytest.mark.slow
def test_a_run_that_is_killed_at_random_moments_ends_with_the_same_weights(
    make: Make, train: Train, fork: Fork, image_recipe: str
) -> None:
    code, whole = train(make(image_recipe, *EVERY_STEP))
    assert code == 0
    assert whole.saved is not None
    run, chance, killed = make(image_recipe, *EVERY_STEP), random.Random(7), list[str]()
    for moment in MOMENTS:
        is_reached = moment(run, chance)
        code = kill(fork(run), run, is_reached)
        killed.append(run.status())
        assert code in (-signal.SIGKILL, 0)
        assert all(matches_manifest(folder) for _, folder in list_checkpoints(run))
        assert not run.model_folder.exists() or not find_changes(run.model_folder)
    assert killed.count("crashed") >= len(MOMENTS) // 2, killed
    assert fork(run).wait(run) == 0
    history = run.history()
    assert history.saved is not None
    assert history.saved.weights == whole.saved.weights
    assert history.steps.step == whole.steps.step
    assert without_clocks(history) == without_clocks(whole)
    assert not history.damaged
    assert not list(run.folder.rglob(".*.tmp"))
    assert len(list_checkpoints(run)) == 2
