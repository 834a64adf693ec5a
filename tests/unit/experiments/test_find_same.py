"""Which experiment the same command goes on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftapp.experiments.arms import Round
from ftapp.experiments.experiment_creation import create
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.find_same import find_same
from ftapp.runs.event_types import Status
from tests.support.recorded_runs import record_run

TEXT = 'title = "mine"\ntask = "t"\n[[arm]]\nname = "A"\n'
SWEEP: dict[str, Any] = {"planned": 4, "searched": 1.0}


def make(folder: Path, **facts: Any) -> Experiment:
    """Make an experiment of one arm with two repeats, of which none has begun."""
    return create("mine", None, TEXT, ["A"], 2, 1, folder, control=False, **facts)


def test_an_experiment_that_was_cut_off_is_found_whatever_its_title(tmp_path: Path) -> None:
    experiment = make(tmp_path)
    assert find_same(tmp_path, TEXT.replace("mine", "yours"), repeats=2, control=False) == experiment
    assert find_same(tmp_path, TEXT.replace("A", "B"), repeats=2, control=False) is None
    assert find_same(tmp_path, TEXT, repeats=3, control=False) is None
    assert find_same(tmp_path, TEXT, repeats=2, control=True) is None
    assert find_same(tmp_path, TEXT, is_sweep=True) is None
    experiment.recipe_file.write_text("[")
    assert find_same(tmp_path, TEXT, repeats=2, control=False) is None


def test_an_experiment_that_goes_on_is_left_alone_and_the_newest_other_is_found(tmp_path: Path) -> None:
    older, newer = make(tmp_path), make(tmp_path)
    assert find_same(tmp_path, TEXT) == newer
    with newer.hold():
        assert find_same(tmp_path, TEXT) == older


@pytest.mark.parametrize(
    ("statuses", "is_found"),
    [
        (["done"], True),  # a run is missing
        (["done", "done"], False),
        (["failed", "done"], False),  # it would fail again
        (["failed", "unfinished"], True),
        (["interrupted", "done"], True),
        ([None, "done"], True),  # it has crashed
    ],
)
def test_an_experiment_is_found_while_a_run_is_missing_or_was_cut_off(
    statuses: list[Status | None], is_found: bool, tmp_path: Path
) -> None:
    experiment = make(tmp_path)
    for number, status in enumerate(statuses, 1):
        experiment.add("A", Round(number), record_run(tmp_path, status=status))
    assert (find_same(tmp_path, TEXT) == experiment) is is_found


@pytest.mark.parametrize(
    ("status", "is_found"),
    [(None, True), ("unfinished", True), ("interrupted", True), ("done", False), ("failed", False), ("refused", False)],
)
def test_a_sweep_is_found_by_its_own_status(status: str | None, is_found: bool, tmp_path: Path) -> None:
    sweep = make(tmp_path, sweep=SWEEP | ({"status": status} if status else {}))
    assert (find_same(tmp_path, TEXT, is_sweep=True) == sweep) is is_found
