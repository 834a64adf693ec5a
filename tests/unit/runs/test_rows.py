"""Rows of `ftapp runs`: kept for runs that have ended, and never shown once they are not true any more."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ftapp.common import cache_files
from ftapp.runs import rows
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import Noted
from ftapp.runs.run_folder import RunFolder
from tests.support.recorded_runs import record_run


def later() -> int:
    """A time at which no file has changed a moment ago."""
    return time.time_ns() + 10**10


def read(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["run"]: row for row in rows.read_rows(folder, later)}


def find_kept() -> Path:
    [file] = (Path(os.environ["FTAPP_CACHE"]) / "rows").iterdir()
    return file


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the runs whose rows are made from their files, in this test."""
    names: list[str] = []
    make = rows._make_row

    def note(run: RunFolder) -> tuple[dict[str, Any], bool]:
        names.append(run.folder.name)
        return make(run)

    monkeypatch.setattr(rows, "_make_row", note)
    return names


def test_kept_rows_are_those_of_the_files(tmp_path: Path, made: list[str]) -> None:
    ended = [record_run(tmp_path, status="done"), record_run(tmp_path, status="failed", accuracy=None)]
    lives = record_run(tmp_path, status=None)
    damaged = record_run(tmp_path)
    damaged.recipe_file.write_bytes(b"title = ")
    nan = record_run(tmp_path)
    nan.events_file.write_bytes(b"no event\n" + nan.events_file.read_bytes())
    first = rows.read_rows(tmp_path, later)
    made.clear()
    again = rows.read_rows(tmp_path, later)
    assert json.dumps(again) == json.dumps(first)
    assert made == [lives.folder.name]
    assert [row["status"] for row in first if row["run"] == damaged.folder.name] == ["damaged"]
    assert {row["damage"] for row in first if row["run"] in (nan.folder.name, ended[0].folder.name)} == {
        None,
        "1 damaged line in its events.jsonl",
    }


def test_what_changes_is_read_again(tmp_path: Path, made: list[str]) -> None:
    run, other = record_run(tmp_path), record_run(tmp_path)
    before = read(tmp_path)
    made.clear()
    EventLog(run.events_file).write(Noted(time=time.time(), message="it went on"))
    assert read(tmp_path)[run.folder.name]["notes"] == ["it went on"]
    run.recipe_file.unlink()
    assert read(tmp_path)[run.folder.name]["damage"] == "its recipe.toml is missing"
    environment = run.environment_file.read_text()
    run.environment_file.write_text(environment.replace("{", '{"arm": "B",', 1))
    assert read(tmp_path)[run.folder.name]["arm"] == "B"
    assert made == [run.folder.name] * 3
    assert read(tmp_path)[other.folder.name] == before[other.folder.name]


def test_a_change_that_hides_its_time_and_size_is_seen(tmp_path: Path) -> None:
    run = record_run(tmp_path, accuracy=0.8)
    assert read(tmp_path)[run.folder.name]["metrics"]["accuracy"] == 0.8
    before = run.events_file.stat()
    run.events_file.write_bytes(run.events_file.read_bytes().replace(b'"accuracy":0.8', b'"accuracy":0.3'))
    os.utime(run.events_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run.events_file.stat().st_size == before.st_size
    assert read(tmp_path)[run.folder.name]["metrics"]["accuracy"] == 0.3


def test_a_run_in_place_of_a_deleted_one_is_read(tmp_path: Path) -> None:
    run, other = record_run(tmp_path), record_run(tmp_path, losses=(1.0,))
    assert read(tmp_path)[run.folder.name]["steps"] == 6
    shutil.rmtree(run.folder)
    other.folder.rename(run.folder)
    assert {name: row["steps"] for name, row in read(tmp_path).items()} == {run.folder.name: 1}
    shutil.rmtree(run.folder)
    assert read(tmp_path) == {}
    assert run.folder.name.encode() not in find_kept().read_bytes()


def test_rows_of_fresh_files_are_not_kept(tmp_path: Path, made: list[str]) -> None:
    run = record_run(tmp_path)
    for _ in range(2):
        rows.read_rows(tmp_path)  # another change may get the time of the last one
    assert made == [run.folder.name] * 2


def test_the_status_of_a_run_without_an_end_is_always_asked_for(tmp_path: Path) -> None:
    run = record_run(tmp_path, status=None)
    assert read(tmp_path)[run.folder.name]["status"] == "crashed"
    with run.lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read(tmp_path)[run.folder.name]["status"] == "running"
    assert read(tmp_path)[run.folder.name]["status"] == "crashed"


@pytest.mark.parametrize("damage", ["cut", "foreign", "other code"])
def test_a_cache_of_no_use_is_made_again(tmp_path: Path, made: list[str], damage: str) -> None:
    record_run(tmp_path)
    before = read(tmp_path)
    file = find_kept()
    content = cache_files.load(file)
    assert content is not None
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-10])
    else:
        other = msgspec.msgpack.encode(msgspec.msgpack.decode(content) | {"code": "another version"})
        cache_files.keep(file, b"no rows" if damage == "foreign" else other)
    made.clear()
    assert read(tmp_path) == before
    assert read(tmp_path) == before
    assert len(made) == 1


def test_without_a_place_for_a_cache_all_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = record_run(tmp_path / "runs")
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("FTAPP_CACHE", str(blocked))
    for _ in range(2):
        assert list(read(tmp_path / "runs")) == [run.folder.name]


def test_a_name_that_is_not_utf_8_is_listed(tmp_path: Path) -> None:
    run = record_run(tmp_path)
    name = os.fsdecode(os.fsencode(run.folder.name) + b"\xff")
    run.folder.rename(tmp_path / name)
    for _ in range(2):
        assert list(read(tmp_path)) == [name]


def test_commands_may_list_at_once_while_runs_come_and_go(tmp_path: Path) -> None:
    stay = [record_run(tmp_path, losses=(1.0,) * count) for count in (1, 2, 3)]

    def look(_: int) -> None:
        found = read(tmp_path)
        assert [found[run.folder.name]["steps"] for run in stay] == [1, 2, 3]

    with ThreadPoolExecutor(4) as pool:
        looks = pool.map(look, range(24))
        for _ in range(8):
            shutil.rmtree(record_run(tmp_path).folder)
        list(looks)
    look(0)
