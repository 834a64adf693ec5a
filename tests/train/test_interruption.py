"""Signals as batch systems, process managers and people send them, to real commands and their runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from ftapp.models import saved_model
from ftapp.runs.checkpoints import list_checkpoints
from ftapp.runs.event_reader import read
from ftapp.runs.events import Progressed
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.phase_events import Stepped
from ftapp.runs.run_folder import RunFolder
from tests.support.processes import Start, find_run, find_worker, wait_for

LONG = ("--set", "phase.head.epochs=10000", "--set", "evaluate.every=1000000", "--json")


@pytest.fixture
def start_long(start: Start, tmp_path: Path, image_recipe: str) -> Start:
    """Starts `ftapp run` of a recipe that goes on until it is stopped."""
    (tmp_path / "long.toml").write_text(image_recipe, encoding="utf-8")
    return partial(start, "long.toml", *LONG, is_real=True)


def wait_for_event(process: subprocess.Popen[str], folder: Path, is_wanted: Callable[[Any], bool]) -> RunFolder:
    """The only run in the folder, once it has such an event."""
    run = wait_for(lambda: find_run(folder, is_wanted), process)
    assert run is not None
    return run


def trains(event: Any) -> bool:
    return isinstance(event, Stepped) and event.step >= 3


def saves(event: Any) -> bool:
    return isinstance(event, Progressed) and event.activity == "saving the model"


def poke(process: subprocess.Popen[str] | psutil.Process, number: signal.Signals) -> None:
    """A signal to all of a process's group, if it is still there."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def worker_of(process: subprocess.Popen[str]) -> psutil.Process:
    [worker] = psutil.Process(process.pid).children()
    return worker


def ended(process: subprocess.Popen[str], run: RunFolder, status: str) -> dict[str, Any]:
    """The result of a run that was asked to end and has saved."""
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == EXIT_CODES[status], stderr
    [result] = map(json.loads, stdout.splitlines())
    assert result["status"] == status
    assert result["model"] == str(run.model_folder)
    assert "Traceback" not in stderr
    assert saved_model.load(run.model_folder).classes
    assert json.loads((run.model_folder / "ftapp.json").read_text("utf-8"))["status"] == status
    assert not [path for path in run.folder.iterdir() if path.name.endswith(".tmp")]
    return dict(result)


def test_signals_to_the_command_and_its_run_are_one_request(start_long: Start, tmp_path: Path) -> None:
    process = start_long()
    run = wait_for_event(process, tmp_path / "runs", trains)
    worker = worker_of(process)
    # A closed terminal is no matter of a run.
    poke(worker, signal.SIGHUP)
    done = len(read(run.events_file))
    wait_for_event(process, tmp_path / "runs", lambda event: isinstance(event, Stepped) and event.step > done + 5)
    for number in (*[signal.SIGINT] * 20, signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1):
        poke(process, number)
        poke(worker, number)
    while process.poll() is None:  # also while the model is saved
        poke(process, signal.SIGTERM)
        poke(worker, signal.SIGTERM)
        time.sleep(0.005)
    ended(process, run, "interrupted")
    assert any(map(saves, read(run.events_file)))


def test_what_a_batch_system_ends_is_unfinished_and_has_a_checkpoint(
    start: Start, tmp_path: Path, image_recipe: str
) -> None:
    (tmp_path / "long.toml").write_text(image_recipe, encoding="utf-8")
    process = start("long.toml", *LONG)
    run = wait_for_event(process, tmp_path / "runs", trains)
    process.send_signal(signal.SIGTERM)
    ended(process, run, "unfinished")
    assert list_checkpoints(run)


def test_ctrl_c_again_after_a_second_ends_at_once(start: Start, tmp_path: Path, image_recipe: str) -> None:
    (tmp_path / "long.toml").write_text(image_recipe, encoding="utf-8")
    process = start("long.toml", *LONG)
    run = wait_for_event(process, tmp_path / "runs", trains)
    worker = find_worker(run)
    worker.suspend()  # as a step that takes long
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    worker.resume()
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 130
    assert json.loads(stdout)["status"] == "interrupted"
    assert "ending at once" in stderr
    assert not run.model_folder.exists()


@pytest.mark.slow
def test_an_experiment_saves_what_goes_on_and_starts_no_more(start_long: Start, tmp_path: Path) -> None:
    process = start_long("--control", "--repeat", "2")
    run = wait_for_event(process, tmp_path / "runs", trains)
    worker = worker_of(process)
    for _ in range(3):
        poke(process, signal.SIGTERM)
        poke(worker, signal.SIGTERM)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 75, stderr
    assert (run.model_folder / "model.keras").is_file()
    assert run.status() == "unfinished"
    assert len(list((tmp_path / "runs").glob("2*"))) == 1
