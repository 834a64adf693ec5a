"""The queue with its process: it outlives the command that starts it, and its own end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from ftapp.cli import app
from ftapp.experiments.queue import Queue
from ftapp.runs.phase_events import Stepped
from tests.support.processes import find_run, wait_for

pytestmark = pytest.mark.usefixtures("quickly_started")


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app.app, ["queue", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def list_statuses() -> list[tuple[int, str]]:
    found: dict[str, Any] = json.loads(invoke("--json"))
    return [(each["id"], each["status"]) for each in found["entries"]]


def test_recipes_run_one_after_another_and_the_queue_goes_on_after_its_end(
    text_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path / "runs"))
    (tmp_path / "long.toml").write_text(text_recipe.replace("steps = 12", "steps = 100_000"), encoding="utf-8")
    (tmp_path / "short.toml").write_text(text_recipe, encoding="utf-8")
    queue = Queue.of(tmp_path / "runs")
    assert invoke("add", str(tmp_path / "long.toml"), str(tmp_path / "short.toml")) == "1: long\n2: short\n"
    (tmp_path / "short.toml").unlink()  # what waits is whole
    run = wait_for(lambda: find_run(tmp_path / "runs", lambda each: isinstance(each, Stepped)))
    assert run is not None
    assert list_statuses() == [(1, "running"), (2, "waiting")]

    (process,) = (
        each
        for each in psutil.process_iter(["cmdline"])
        if {"ftapp.workers.queue", str(queue.folder)} <= set(each.info["cmdline"] or ())
    )
    process.kill()
    wait_for(lambda: not queue.alive())
    assert run.alive()
    assert "'ftapp queue start' goes on" in invoke()
    invoke("start")
    assert CliRunner().invoke(app.app, ["ctl", run.folder.name, "stop"]).exit_code == 0
    wait_for(lambda: not queue.alive())
    assert list_statuses() == [(1, "interrupted"), (2, "done")]
    log = queue.log_file.read_text("utf-8").splitlines()
    assert [line.rpartition(": ")[2] for line in log] == ["interrupted", "done"]


def test_a_run_whose_folder_is_deleted_is_told_so(
    text_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path / "runs"))
    (tmp_path / "long.toml").write_text(text_recipe.replace("steps = 12", "steps = 100_000"), encoding="utf-8")
    invoke("add", str(tmp_path / "long.toml"))
    run = wait_for(lambda: find_run(tmp_path / "runs", lambda each: isinstance(each, Stepped)))
    assert run is not None
    shutil.rmtree(run.folder.rename(tmp_path / "gone"))
    wait_for(lambda: not Queue.of(tmp_path / "runs").alive())
    assert list_statuses() == [(1, "deleted")]
