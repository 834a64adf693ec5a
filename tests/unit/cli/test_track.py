"""`ftapp track`: trackers that the command, the recipe or the settings name."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ftapp.cli import app
from ftapp.common.locks import hold_lock
from ftapp.runs.run_folder import RunFolder
from ftapp.tracking.job import TrackJob
from tests.support.recorded_runs import record_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return record_run(tmp_path / "runs", "track.history=csv")


def invoke(run: RunFolder, *arguments: str) -> Result:
    return CliRunner().invoke(app.app, ["track", str(run.folder), *arguments])


def test_the_trackers_of_the_recipe_are_used(run: RunFolder) -> None:
    result = invoke(run)
    assert result.exit_code == 0, result.output
    assert (run.folder / "history.csv").is_file()
    assert "history.csv" in result.stdout
    result = invoke(run, "--to", "history=parquet", "--to", "tensorboard", "--json")
    assert set(json.loads(result.stdout)) == {"history", "tensorboard"}
    assert (run.folder / "history.parquet").is_file()
    assert list((run.folder / "tensorboard").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "tensorbord"], "--to: there is no tracker 'tensorbord'; did you mean 'tensorboard'"),
        (["--to", "wandb"], "--to: wandb lacks its project, such as --to wandb=PROJECT"),
        (["--to", "history=xlsx"], "--to: history: unknown value 'xlsx'; "),
        (["--to", "tensorboard=x"], "--to: tensorboard: 'x' "),
    ],
)
def test_wrong_trackers_are_refused(run: RunFolder, arguments: list[str], message: str) -> None:
    result = invoke(run, *arguments)
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_without_a_tracker_the_places_to_name_one_are_told(tmp_path: Path) -> None:
    result = invoke(record_run(tmp_path / "runs"))
    assert result.exit_code == 2
    assert "no tracker is named; --to names one" in result.output
    assert "settings.toml" in result.output


def test_a_run_is_tracked_by_one_process_at_a_time(run: RunFolder) -> None:
    with hold_lock(TrackJob(run.folder).lock_file, fcntl.LOCK_EX):
        result = invoke(run)
    assert (result.exit_code, "by another process" in result.output) == (2, True)


def test_a_tracker_that_cannot_be_reached_ends_with_code_1(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    result = invoke(run, "--to", "mlflow=x")
    assert result.exit_code == 1
    assert "127.0.0.1" in result.output.replace("\n", "")
