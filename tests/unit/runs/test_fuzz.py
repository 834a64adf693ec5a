"""Damaged lines and folders end no run and no command; see `fuzz.py`, which tries as many as one likes."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftapp.cli import app
from ftapp.common.safe_files import LARGEST, open_file
from ftapp.common.tail_reader import Tail
from ftapp.experiments.listing import Summaries
from ftapp.runs.event_reader import EventReader, decode
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder
from tests.support import random_events
from tests.support.recorded_runs import record_run
from tests.unit import fuzz


def test_damaged_commands_end_no_run() -> None:
    assert fuzz.try_lines(1500, seed=5) > 100


def test_damaged_folders_end_no_command() -> None:
    fuzz.try_folders(24, seed=7, at_once=12)


def test_any_order_of_valid_events_is_a_history() -> None:
    draw = random.Random(3)
    events = [decode(json.dumps(random_events.event(draw)).encode()) for _ in range(3000)]
    assert all(event is not None for event in events)
    assert History.of(event for event in events if event is not None).summary()["steps"] > 100


DAMAGE = {
    "not UTF-8": b'{"event":"progressed","time":1,"activity":"\xff"}',
    "nested": b'{"event":"progressed","time":1,"activity":' + b"[" * 100_000,
    "null": b'{"event":"phase-started","time":null}',
    "no steps": b'{"event":"phase-started","time":1,"phase":"p","first_step":1,"steps":0,"epochs":1,"trainable":1,'
    b'"parameters":5,"trainable_layers":[]}',
    "no parameters": b'{"event":"phase-started","time":1,"phase":"p","first_step":1,"steps":2,"epochs":1,'
    b'"trainable":1,"parameters":0,"trainable_layers":[]}',
    "huge": b'{"event":"step","time":1,"step":' + b"9" * 400 + b',"epoch":1,"loss":1,"rate":1,"seconds":1,"memory":1}',
    "ragged": b'{"event":"confused","time":1,"step":1,"split":"test","counts":[[1,2],[3]]}',
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_line_is_counted_and_told(tmp_path: Path, kind: str) -> None:
    run, other = record_run(tmp_path), record_run(tmp_path, name="bert-full")
    with run.events_file.open("ab") as file:
        file.write(DAMAGE[kind] + b"\n")
    assert run.history().damaged == 1
    assert run.history().summary() == other.history().summary()
    listed = CliRunner().invoke(app.app, ["runs", "--runs-dir", str(tmp_path)])
    assert "done; 1 damaged line in its events.jsonl" in listed.stdout
    assert other.folder.name in listed.stdout
    assert [one.status for one in Summaries(tmp_path).read()] == ["done", "done"]


@pytest.mark.parametrize("name", ["events.jsonl", "recipe.toml", "environment.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "loop", "folder", "junk"])
def test_a_damaged_folder_is_shown_as_such(tmp_path: Path, name: str, kind: str) -> None:
    run, whole = record_run(tmp_path), record_run(tmp_path)
    file = run.folder / name
    file.unlink()
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "device":
            file.symlink_to("/dev/zero")
        case "loop":
            file.symlink_to(file)
        case "folder":
            file.mkdir()
        case "junk":
            file.write_bytes(b"\xff\x00\xfe[" * 50 + b"\n")
    rows = {one.run.folder.name: one for one in Summaries(tmp_path).read()}
    assert rows[whole.folder.name].status == "done"
    damaged = rows[run.folder.name]
    assert damaged.status == "damaged"
    assert name in str(damaged.error)
    listed = CliRunner().invoke(app.app, ["runs", "--runs-dir", str(tmp_path)])
    if (name, kind) == ("events.jsonl", "junk"):
        assert "crashed; 1 damaged line in its events.jsonl" in listed.stdout
    else:
        assert f"damaged: its {name}" in listed.stdout
    report = CliRunner().invoke(app.app, ["report", run.folder.name, "--runs-dir", str(tmp_path)])
    assert report.exit_code == 0, report.output


def test_lines_without_end_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"progressed","time":1,"activity":"a"}\n')
    os.truncate(path, LARGEST + 2**20)  # a hole: zeros without a newline
    with path.open("ab") as file:
        file.write(b'\n{"event":"progressed","time":2,"activity":"b"}\n')
    reader = EventReader(path)
    events = [event for piece in reader.pieces() for event in piece]
    assert [event.time for event in events] == [1, 2]
    assert reader.damaged == 1


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="it is a pipe, not a file"):
        open_file(pipe)
    assert bytes(Tail(pipe).read()) == b""
    run = RunFolder(tmp_path)
    run.lock_file.symlink_to(pipe)
    assert not run.alive()
