"""Files of cached features that are damaged, cut, empty, lost or something else: no run trains on them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ftapp.freezing import feature_cache
from ftapp.runs.history import History
from tests.faults.conftest import Fork, Make, Train
from tests.support import damage
from tests.support.processes import wait_for


def losses(history: History) -> list[float]:
    return [step.loss for step in history.steps]


# The tests of the store try each byte.
HARMS: list[tuple[str, Callable[[Path], None]]] = [
    ("index", damage.halve),
    ("index", damage.empty),
    ("features_0", damage.zero),
    ("features_0", damage.put_a_folder),
    ("description.json", damage.put_a_folder),
]


def test_a_run_trains_on_whole_features_alone(make: Make, train: Train, image_recipe: str) -> None:
    short = "phase.head.epochs=2"
    _, whole = train(make(image_recipe, short))
    for name, harm in HARMS:
        [entry] = feature_cache.list_entries()
        harm(entry.folder / name)
        code, history = train(make(image_recipe, short))
        assert code == 0
        assert losses(history) == pytest.approx(losses(whole), rel=1e-5), (name, harm)


def test_a_killed_process_leaves_features_that_the_next_one_completes(
    make: Make, train: Train, fork: Fork, image_recipe: str
) -> None:
    text = image_recipe.replace("[16, 16]", "[128, 128]")
    run = make(text)
    forks = fork(run)
    wait_for(lambda: any(path.stat().st_size for path in feature_cache.folder().glob("*/index")))
    forks.interrupt(run, signal.SIGKILL)
    assert forks.wait(run) == -signal.SIGKILL
    code, again = train(run)
    assert code == 0
    _, whole = train(make(text, "frozen.cache=false"))
    assert losses(again) == pytest.approx(losses(whole), rel=1e-5)
