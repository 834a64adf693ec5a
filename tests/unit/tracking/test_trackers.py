"""What trackers get of a run: read back by their own libraries, compared with what the run has recorded."""

from __future__ import annotations

import csv
import errno
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from pyarrow import parquet

from ftapp.common.processes import make_module_command
from ftapp.recipe.user_settings import find_settings_file
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import GpuUsed
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated, Sampled
from ftapp.runs.run_folder import RunFolder
from ftapp.tracking.follow import track
from ftapp.tracking.to_tensorboard import TensorBoardTracker
from ftapp.tracking.track_file import Tracked, load_tracked, store_tracked
from ftapp.tracking.tracker import Numbers, Sample, TrackedRun, flatten
from ftapp.workers.track import main
from tests.support.recorded_runs import record_run

LOSSES = [3.0, 2.0, 1.5, 1.25]
EXPECTED = {
    "train/loss": list(zip(range(1, 5), LOSSES, strict=True)),
    "train/accuracy": [(step, 0.5) for step in range(1, 5)],
    "validation/loss": [(2, 1.75)],
    "test/accuracy": [(4, pytest.approx(0.8))],
    "gpu/busy": [(4, 0.25), (4, 0.75)],
}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = record_run(tmp_path / "runs", losses=LOSSES, status=None)
    log = EventLog(run.events_file)
    log.write(
        Evaluated(time=5, step=2, split="validation", examples=9, loss=1.75, metrics={"accuracy": 0.5}, seconds=1)
    )
    for busy in (0.25, 0.75):
        log.write(GpuUsed(time=6, step=4, busy=busy, used=2**30, memory=2**32))
    for text in ("The dog barks.", "The dog sleeps."):
        log.write(Sampled(time=7, step=4, prompt="The dog", text=text))
    return run


def read_tensorboard(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Read event files with TensorFlow, which checks the checksums of their records."""
    import tensorflow as tf
    from tensorboardX.proto import event_pb2

    found: dict[str, list[tuple[int, Any]]] = {}
    for file in sorted(folder.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(file)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                is_text = value.metadata.plugin_data.plugin_name == "text"
                content = value.tensor.string_val[0].decode() if is_text else value.simple_value
                found.setdefault(value.tag, []).append((event.step, content))
    return found


def test_tensorboard_shows_the_numbers_of_the_run(run: RunFolder) -> None:
    _, tracked = track(run, {"tensorboard": ""}, offline=True)
    assert (tracked["tensorboard"].error, tracked["tensorboard"].status) == ("", "crashed")
    found = read_tensorboard(run.folder / "tensorboard")
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    assert found["samples/The dog/text_summary"] == [(4, "**The dog** barks."), (4, "**The dog** sleeps.")]
    assert "_hparams_/session_start_info" in found
    assert tracked["tensorboard"].place.startswith("tensorboard --logdir ")


def test_what_tensorboard_was_sent_is_on_the_disk_at_once(run: RunFolder) -> None:
    tracker = TensorBoardTracker()
    described = TrackedRun(folder=run.folder, group=None, job=None, config={}, created=1.0, offline=True)
    tracker.start(described, "", "")
    tracker.send([Numbers("train", step, 1.0, {"loss": 0.5}) for step in range(50)])
    assert read_tensorboard(run.folder / "tensorboard")["train/loss"] == [(step, 0.5) for step in range(50)]


def test_what_was_sent_is_not_sent_again(run: RunFolder, tmp_path: Path) -> None:
    whole = run.events_file.read_bytes()
    lines = whole.splitlines(keepends=True)
    half = next(number for number, line in enumerate(lines) if b'"step":3,' in line)
    run.events_file.write_bytes(b"".join(lines[:half]))
    track(run, {"tensorboard": ""}, offline=True)
    run.events_file.write_bytes(whole)
    track(run, {"tensorboard": "", "history": "csv"}, offline=True)
    track(run, {"tensorboard": ""}, offline=True)
    found = read_tensorboard(run.folder / "tensorboard")
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    assert len(found["_hparams_/session_start_info"]) == 1
    assert set(load_tracked(run.folder)) == {"tensorboard", "history"}
    assert len(list((run.folder / "tensorboard").iterdir())) == 2


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_history_is_a_table(run: RunFolder, kind: str) -> None:
    _, tracked = track(run, {"history": kind}, offline=True)
    file = run.folder / f"history.{kind}"
    assert tracked["history"].place == str(file)
    if kind == "csv":
        rows = [
            {name: float(value) if value else None for name, value in row.items()}
            for row in csv.DictReader(file.open())
        ]
    else:
        rows = parquet.read_table(file).to_pylist()
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert [row["train/loss"] for row in rows] == LOSSES
    assert [row["validation/loss"] for row in rows] == [None, 1.75, None, None]
    assert rows[3]["test/accuracy"] == 0.8


def read_level_db_log(content: bytes) -> Iterator[bytes]:
    """Read the records of a log of LevelDB, in blocks of 32 KiB, as W&B's client writes its files."""
    place, whole = 7, b""  # behind W&B's own mark
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a full record, or the last part of one
            yield whole
            whole = b""


def test_wandb_has_the_run_offline(run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb-config"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "wandb-cache"))
    _, tracked = track(run, {"wandb": "team/digits"}, offline=True)
    wandb.teardown()  # its service would live as long as the tests
    assert not [child for child in psutil.Process().children(recursive=True) if "wandb" in child.name()]
    assert tracked["wandb"].error == ""
    assert tracked["wandb"].place.startswith("wandb sync ")
    (file,) = run.folder.glob("wandb/offline-run-*/*.wandb")

    records = [Record.FromString(data) for data in read_level_db_log(file.read_bytes())]
    (begun,) = [each.run for each in records if each.HasField("run")]
    assert (begun.entity, begun.project, begun.run_id) == ("team", "digits", run.folder.name)
    items: dict[str, list[str]] = {}
    for each in records:
        for item in each.history.item if each.HasField("history") else ():
            items.setdefault(item.key or ".".join(item.nested_key), []).append(item.value_json)
    assert list(map(float, items["train/loss"])) == LOSSES
    assert float(items["validation/loss"][0]) == 1.75


def test_trackio_has_the_run(run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    import trackio.sqlite_storage as storage

    monkeypatch.setattr(storage, "TRACKIO_DIR", tmp_path / "trackio")
    _, tracked = track(run, {"trackio": "digits"}, offline=True)
    assert tracked["trackio"].error == ""
    logs = storage.SQLiteStorage.get_logs("digits", run.folder.name)
    assert [each["train/loss"] for each in logs if "train/loss" in each] == LOSSES


@pytest.mark.slow  # MLflow makes the tables of its store
def test_mlflow_has_the_run_and_its_rest(run: RunFolder) -> None:
    from mlflow.tracking import MlflowClient

    whole = run.events_file.read_bytes()
    run.events_file.write_bytes(whole[: whole.index(b"\n", whole.index(b'"step":2')) + 1])
    track(run, {"mlflow": "digits"}, offline=True)
    run.events_file.write_bytes(whole)
    _, tracked = track(run, {"mlflow": "digits"}, offline=True)
    assert tracked["mlflow"].error == ""
    client = MlflowClient(tracking_uri=f"sqlite:///{run.folder.parent}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == (run.folder.name, "FAILED")
    history = client.get_metric_history(found.info.run_id, "train/loss")
    assert sorted((each.step, each.value) for each in history) == EXPECTED["train/loss"]
    assert found.data.params["phase.finetune.learning_rate"] == "3e-05"
    assert len(client.list_artifacts(found.info.run_id, "samples")) == 2


@pytest.mark.slow  # as above, twice
def test_two_runs_that_begin_at_the_same_time_make_one_store(run: RunFolder) -> None:
    from mlflow.tracking import MlflowClient

    folders = [run.folder, record_run(run.folder.parent, losses=LOSSES).folder]
    commands = [make_module_command("ftapp.cli", "track", str(each), "--to", "mlflow=digits") for each in folders]
    processes = [subprocess.Popen(each, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for each in commands]
    assert [each.wait() for each in processes] == [0, 0]
    client = MlflowClient(tracking_uri=f"sqlite:///{run.folder.parent}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    assert {each.info.run_name for each in client.search_runs([experiment.experiment_id])} == {f.name for f in folders}


def test_one_tracker_fails_and_the_others_have_everything(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")  # where nobody answers
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    _, tracked = track(run, {"mlflow": "digits", "tensorboard": ""}, offline=False)
    assert "127.0.0.1" in tracked["mlflow"].error
    assert "secret" not in tracked["mlflow"].error
    assert "\n" not in tracked["mlflow"].error
    assert tracked["mlflow"].sent == {}
    assert tracked["tensorboard"].status == "crashed"
    assert load_tracked(run.folder) == tracked


def test_a_tracker_whose_server_was_away_gets_the_rest_at_the_end(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, errors = TensorBoardTracker.send, [OSError(errno.ECONNREFUSED, "away")]

    def send_later(self: TensorBoardTracker, records: Sequence[Numbers | Sample]) -> None:
        if errors:
            raise errors.pop()
        send(self, records)

    monkeypatch.setattr(TensorBoardTracker, "send", send_later)
    find_settings_file().parent.mkdir(parents=True)
    find_settings_file().write_text("[track]\ntensorboard = true\n", encoding="utf-8")
    assert main(run.folder) == 0
    assert read_tensorboard(run.folder / "tensorboard")["train/loss"] == EXPECTED["train/loss"]


@pytest.mark.parametrize(("name", "variable"), [("mlflow", "MLFLOW_TRACKING_URI"), ("trackio", "TRACKIO_SERVER_URL")])
def test_no_server_is_called_offline(run: RunFolder, monkeypatch: pytest.MonkeyPatch, name: str, variable: str) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    _, tracked = track(run, {name: "digits"}, offline=True)
    assert tracked[name].error == "with --offline, nothing is sent to a server"


def test_the_end_is_told_and_the_table_written_before_a_tracker_may_hang(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def hang(self: TensorBoardTracker, history: History, status: str) -> str:
        seen.append("hangs")
        assert (run.folder / "history.csv").is_file()
        return ""

    monkeypatch.setattr(TensorBoardTracker, "finish", hang)
    track(run, {"tensorboard": "", "history": "csv"}, offline=True, tell_end=lambda _: seen.append("told"))
    assert seen == ["told", "hangs"]


def test_a_run_is_tracked_while_its_disk_is_full(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = [OSError(errno.ENOSPC, "full")]

    def store(folder: Path, tracked: dict[str, Tracked]) -> None:
        if stores:
            raise stores.pop()
        store_tracked(folder, tracked)

    monkeypatch.setattr("ftapp.tracking.follow.store_tracked", store)
    _, tracked = track(run, {"history": "csv"}, offline=True)
    assert load_tracked(run.folder) == tracked


def test_a_run_that_never_began_is_not_sent(run: RunFolder) -> None:
    run.events_file.unlink()
    _, tracked = track(run, {"tensorboard": "", "history": "csv"}, offline=True)
    assert not any(each.id for each in tracked.values())
    assert not (run.folder / "tensorboard").exists()


def test_nested_tables_become_plain_values() -> None:
    tables = {"seed": 1, "model": {"hidden": [8, 4]}, "phase": [{"name": "head", "layers": ["freeze all"]}], "no": None}
    assert flatten(tables) == {"seed": 1, "model.hidden": "8, 4", "phase.head.layers": "freeze all", "no": "None"}
