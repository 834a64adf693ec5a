"""`ftapp ctl` of runs that take no command, and of one that has written nothing yet."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from ftapp.cli.app import app
from ftapp.cli.ctl import wait_for_answer
from ftapp.common.errors import RunError
from ftapp.common.locks import hold_lock
from ftapp.experiments import experiment_creation, trash
from ftapp.experiments.arms import Round
from ftapp.runs.commands import Stop
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import Controlled
from ftapp.runs.leases import Lease
from ftapp.runs.run_folder import RunFolder
from tests.support.recorded_runs import record_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run that has ended."""
    return record_run(tmp_path)


def ctl(folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """Send a command to a run: (exit code, what is printed as JSON, what is said)."""
    result = CliRunner().invoke(app, ["ctl", "--json", "--runs-dir", str(folder), *words])
    return result.exit_code, json.loads(result.stdout), result.stderr


def test_a_refused_command_is_an_object_with_the_reason(run: RunFolder, tmp_path: Path) -> None:
    code, report, said = ctl(tmp_path, "last", "lr", "1e-4")
    assert code == 2
    assert report == {
        "run": run.folder.name,
        "command": "lr",
        "applied": False,
        "reason": "the run has ended (status: done), so it takes no commands",
    }
    assert said == report["reason"] + "\n"
    code, report, said = ctl(tmp_path, "last", "lr", "fast")
    assert (code, report["run"], report["applied"]) == (2, None, False)
    assert "'fast' is not a learning rate" in report["reason"]
    code, report, _ = ctl(tmp_path, "nobody", "pause")
    assert (code, report["run"]) == (2, None)
    assert "there is no run 'nobody'" in report["reason"]


def test_an_experiment_names_its_runs(run: RunFolder, tmp_path: Path) -> None:
    made = experiment_creation.create("lesson", None, "", ["A"], 1, 1, tmp_path)
    made.add("A", Round(1), run)
    code, report, _ = ctl(tmp_path, made.folder.name, "pause")
    assert code == 2
    assert report["reason"] == f"'{made.folder.name}' is an experiment; choose one of its runs: {run.folder.name}"


def test_a_deleted_run_can_be_restored(run: RunFolder, tmp_path: Path) -> None:
    deleted = trash.delete_run(run)
    for name in (run.folder.name, str(deleted.folder)):
        code, report, _ = ctl(tmp_path, name, "pause")
        assert code == 2
        assert report["reason"] == f"'{name}' is deleted; 'ftapp runs --restore {run.folder.name}' restores it"


def test_a_run_on_another_machine_that_does_not_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    lease = Lease(launch="a", engine="ray", state="working", host="node-7", job="12")
    run.leases.claim(lease, 0)
    with pytest.raises(RunError, match=r"no answer for 0\.1 s: .* works on node-7 \(Ray, job 12\), .* stays sent"):
        wait_for_answer(run, Stop(), 0, longest=0.1)


def test_a_run_that_loses_its_machine_while_it_is_to_stop_is_cancelled(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    lease = Lease(launch="a", engine="ray", state="working", host="node-7", job="12")
    number = run.leases.claim(lease, 0)
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(wait_for_answer(run, Stop(), 0)), daemon=True)
    waiting.start()
    run.leases.replace(number, msgspec.structs.replace(lease, state="waiting", host=""))
    waiting.join(60)
    assert found == ["cancelled"]
    assert run.status() == "interrupted"


def test_a_run_that_has_written_nothing_yet_takes_commands(run: RunFolder, tmp_path: Path) -> None:
    run.events_file.unlink()
    run.status_file.unlink(missing_ok=True)
    run.control_file.unlink(missing_ok=True)

    def answer() -> None:
        while not (run.control_file.exists() and run.control_file.read_bytes().endswith(b"\n")):
            time.sleep(0.01)
        command = json.loads(run.control_file.read_bytes())
        events = Controlled(time=time.time(), id=command["id"], command="pause", applied=True, step=0)
        EventLog(run.events_file).write(events)

    answering = threading.Thread(target=answer, daemon=True)
    answering.start()
    with hold_lock(run.lock_file, fcntl.LOCK_EX):
        code, events, _ = ctl(tmp_path, "last", "pause")
    assert (code, events["applied"], events["step"]) == (0, True, 0)
