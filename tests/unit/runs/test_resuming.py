"""How a run is lengthened, and why one did not go on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

import pytest

from ftapp import recipe as recipes
from ftapp.common.errors import RunError
from ftapp.recipe import Recipe
from ftapp.runs.events import DataLoaded, Noted, Resumed
from ftapp.runs.history import History
from ftapp.runs.leases import Lease, LeaseState
from ftapp.runs.resuming import find_refusal, lengthen_last_phase
from ftapp.runs.starting import check_fetched, explain_fetched
from tests.support.recorded_runs import record_run


def load(*keys: str) -> Recipe:
    """Load a recipe whose last phase has these keys, in batches of 8."""
    overrides = ["phase.finetune.batch_size=8", *(f"phase.finetune.{key}" for key in keys)]
    return recipes.load(recipes.bundled()["bert-full"], None, overrides)


DATA = DataLoaded(time=1.0, train=20, validation=4, test=4, classes=[], duplicates=0)


def test_a_phase_is_longer_by_steps_or_by_epochs() -> None:
    history = History.of([DATA])
    assert lengthen_last_phase(load("steps=12"), history, steps=3).phase[-1].steps == 15
    assert lengthen_last_phase(load("steps=12"), history, epochs=2).phase[-1].steps == 12 + 2 * 3


def test_a_phase_that_accumulates_is_longer_by_whole_updates() -> None:
    history, recipe = History.of([DATA]), load("steps=12", "accumulate=4")
    assert lengthen_last_phase(recipe, history, steps=8).phase[-1].steps == 20
    assert lengthen_last_phase(recipe, history, epochs=2).phase[-1].steps == 16, "6 batches hold one update"
    with pytest.raises(RunError, match="5 batches do not fill updates of 4; take for example 4"):
        lengthen_last_phase(recipe, history, steps=5)
    with pytest.raises(RunError, match="1 epoch more would bring 3; the least is 2 epochs"):
        lengthen_last_phase(recipe, history, epochs=1)


def test_epochs_of_data_that_were_not_read_have_no_known_steps() -> None:
    with pytest.raises(RunError, match="has not read its data yet"):
        lengthen_last_phase(load("steps=12"), History(), epochs=1)
    assert lengthen_last_phase(load("steps=12"), History(), steps=1).phase[-1].steps == 13


@pytest.mark.parametrize(
    ("target", "state", "may_go_on"),
    [
        ("ray://head?cpus=2&shared=no", "working", True),
        ("ray://head?shared=no", "waiting", True),
        ("ray://head?shared=no", "ended", False),
        ("ray://head?shared=yes", "working", False),
        ("slurm:gpu", "working", False),
    ],
)
def test_a_run_that_may_go_on_in_a_cluster_is_not_lengthened(
    target: str, state: LeaseState, may_go_on: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm is asked
    run = record_run(tmp_path)
    engine: Literal["ray", "slurm"] = "slurm" if target.startswith("slurm") else "ray"
    run.leases.claim(Lease(launch="a", engine=engine, target=target, state=state, job="12"), 0)
    file = run.leases.folder / "0001.json"
    os.utime(file, (time.time() - 600,) * 2)  # the process that fetches has ended
    assert not run.alive()
    if may_go_on:
        with pytest.raises(RunError, match=rf"{run.folder.name} may go on in the cluster .*, with its former length"):
            check_fetched(run)
    else:
        check_fetched(run)
    said = explain_fetched(run, anyway=True, max_seconds=60.0)
    assert bool(said) == may_go_on
    assert all("it is only fetched, as without --max-time and --anyway" in each for each in said)
    assert explain_fetched(run) == []


def test_the_note_of_a_process_that_did_not_go_on_is_the_reason() -> None:
    seam = Resumed(time=5.0, step=3)
    assert find_refusal(History.of([Noted(time=5.0, message="no data")]), 4.0) == "no data"
    assert find_refusal(History.of([seam, Noted(time=8.0, message="again")]), 7.0) == "again"
    assert find_refusal(History.of([Noted(time=3.0, message="earlier")]), 4.0) is None
    assert find_refusal(History.of([Noted(time=4.5, message="damaged"), seam]), 4.0) is None
