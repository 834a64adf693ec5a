"""Long files of events, which two processes read: what comes of it is the same."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from ftapp.runs import parallel_reader
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import Evaluated, RunEnded, Stepped
from ftapp.runs.history import History
from ftapp.runs.parallel_reader import SharedFollower


@pytest.fixture(autouse=True)
def short_files_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_reader, "_LONG", 1000)
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def written(path: Path, steps: int, first: int = 1) -> None:
    log = EventLog(path)
    for number in range(first, first + steps):
        log.write(
            Stepped(
                time=float(number),
                step=number,
                epoch=1,
                loss=1 / number,
                metrics={} if number % 3 else {"accuracy": 0.1 * (number % 7)},
                rate=1e-3,
                seconds=0.01,
                memory=2**33 + number,
            )
        )
        if number % 10 == 0:
            log.write(Evaluated(time=1.0, step=number, split="test", examples=9, loss=0.5, seconds=1.0))


def told(history: History) -> dict[str, object]:
    """All of a history, comparable."""
    return {each.name: getattr(history, each.name) for each in dataclasses.fields(history)} | {
        "steps": [str(event) for event in history.steps]
    }


def read(follower: SharedFollower, limit: int = 700) -> History:
    while follower.advance(limit):
        pass
    return follower.history


def test_the_history_is_that_of_one_reader_and_goes_on_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    written(path, 100)
    with path.open("ab") as file:
        file.write(b'{"event":"step","time":1.0,"st')
    follower = SharedFollower(path)
    assert told(read(follower)) == told(History.of_file(path))
    with path.open("ab") as file:
        file.write(b"damaged\n")
    written(path, 50, first=101)
    EventLog(path).write(RunEnded(time=9.0, status="done", steps=150, seconds=1.0))
    assert told(read(follower)) == told(History.of_file(path))
    assert len(follower.history.steps) == 150
    assert follower.history.ended


def test_the_other_process_reads_the_far_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    written(path, 100)
    read_here = 0
    apply_all = History.apply_all

    def counted(history: History, events: list[Stepped]) -> None:
        nonlocal read_here
        read_here += len(events)
        apply_all(history, events)

    monkeypatch.setattr(History, "apply_all", counted)
    assert len(read(SharedFollower(path)).steps) == 100
    assert 30 < read_here < 60


@pytest.mark.parametrize("program", ["/bin/false", sys.executable])
def test_without_the_other_process_all_is_read_here(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    written(path, 100)
    monkeypatch.setattr("sys.executable", program)
    follower = SharedFollower(path)
    if program == sys.executable:
        follower.close()
    assert told(read(follower)) == told(History.of_file(path))


def test_a_file_in_the_place_of_the_one_that_is_read_is_read_alone(tmp_path: Path) -> None:
    path, other = tmp_path / "events.jsonl", tmp_path / "other.jsonl"
    written(path, 100)
    follower = SharedFollower(path)
    assert follower.advance(700)
    written(other, 60, first=1000)
    other.replace(path)
    assert told(read(follower)) == told(History.of_file(path))
    assert follower.history.steps[0].step == 1000


def test_a_short_file_needs_no_other_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    monkeypatch.setattr("subprocess.Popen", None)
    assert not SharedFollower(path).advance()
    written(path, 2)
    assert len(read(SharedFollower(path)).steps) == 2
