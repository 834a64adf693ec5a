"""Events as lines of a file, and what a history makes of them."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from ftapp.runs.event_log import EventLog
from ftapp.runs.event_reader import EventReader, read
from ftapp.runs.events import Progressed, RunEnded
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated, PhaseStarted, Sampled, Stepped
from ftapp.runs.run_folder import RunFolder

STEP = Stepped(time=1.0, step=1, epoch=1, loss=0.5, metrics={"accuracy": 0.25}, rate=1e-3, seconds=0.1, memory=2**30)
PHASE = PhaseStarted(
    time=1.0,
    phase="head",
    first_step=1,
    steps=4,
    epochs=2.0,
    trainable=25,
    parameters=100,
    trainable_layers=["classifier"],
)


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    ended = RunEnded(time=2.0, status="refused", steps=0, seconds=1.5, error="no", problems=[("f", "k", "m")])
    for event in (PHASE, STEP, ended):
        log.write(event)
    assert read(tmp_path / "events.jsonl") == [PHASE, STEP, ended]


def test_a_growing_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert list(reader.read()) == []
    log = EventLog(path)
    log.write(STEP)
    assert list(reader.read()) == [STEP]
    with path.open("ab") as file:
        file.write(b'{"event":"step","ti')
    assert list(reader.read()) == []
    with path.open("ab") as file:
        file.write(b'me":"damaged"}\n')
    log.write(PHASE)
    assert list(reader.read()) == [PHASE]
    assert list(reader.read()) == []


def test_events_of_a_kind_that_is_not_known_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"from-the-future","time":1}\n')
    EventLog(path).write(STEP)
    assert read(path) == [STEP]


def test_long_files_are_read_in_bounded_pieces(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    steps = [msgspec.structs.replace(STEP, step=number) for number in range(1, 51)]
    for step in steps:
        log.write(step)
    length = path.stat().st_size // len(steps)
    reader = EventReader(path)
    found = reader.read(10 * length)
    assert 0 < len(found) < 12
    assert reader.caught_up is False
    found += [event for piece in reader.pieces() for event in piece]
    assert found == steps
    assert (reader.caught_up, reader.read()) == (True, [])
    assert [event for piece in EventReader(path).pieces(7) for event in piece] == steps  # less than a line


def test_damaged_lines_are_skipped_among_many(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.write(STEP)
    with path.open("ab") as file:
        file.write(b'\xff\xfe{"event":"step"}\n\n[1]\n\x00\x00\n{"event":"step","step":"a"}\r\n')
    log.write(PHASE)
    assert read(path) == [STEP, PHASE]


def test_a_file_that_is_replaced_or_cut_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    for event in (PHASE, STEP, STEP):
        log.write(event)
    reader = EventReader(path)
    assert reader.read() == [PHASE, STEP, STEP]
    path.rename(tmp_path / "former.jsonl")
    assert reader.read() == []
    EventLog(path).write(STEP)
    assert reader.read() == [STEP]
    assert reader.restarts == 1
    path.write_bytes(b"")
    assert reader.read() == []
    EventLog(path).write(PHASE)
    assert reader.read() == [PHASE]
    assert reader.restarts == 2


def test_a_history_is_what_the_events_tell() -> None:
    evaluations = [
        Evaluated(time=1, step=0, split="validation", examples=9, loss=0.7, metrics={"accuracy": 0.5}, seconds=1.0),
        Evaluated(
            time=3, step=4, split="test", examples=30, loss=0.3, metrics={"accuracy": 0.9}, seconds=1.0, final=True
        ),
    ]
    steps = [
        Stepped(time=2, step=n, epoch=1, loss=1 / n, rate=1e-3, seconds=s, memory=1)
        for n, s in enumerate((9, 0.5, 0.5), 1)
    ]
    sample = Sampled(time=4, step=4, prompt="a", text="a b")
    ended = RunEnded(time=5, status="done", steps=4, seconds=4.5)
    history = History.of([PHASE, evaluations[0], *steps, evaluations[1], sample, ended])
    assert history.trainable_share == 0.25
    assert history.steps_per_second == 2.0
    assert history.result == evaluations[1]
    summary = history.summary()
    assert summary["metrics"] == {"loss": 0.3, "accuracy": 0.9}
    assert summary["history"][0] == {"step": 0, "split": "validation", "loss": 0.7, "accuracy": 0.5}
    assert (summary["steps"], summary["seconds"], summary["trainable_share"]) == (3, 4.5, 0.25)
    assert summary["samples"] == [{"step": 4, "prompt": "a", "text": "a b"}]


def test_a_history_of_nothing_has_a_summary() -> None:
    summary = History().summary()
    assert (summary["metrics"], summary["steps"], summary["trainable_share"]) == ({}, 0, None)


def test_a_run_that_never_started_counts_as_crashed(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.status() == "crashed"
    assert run.last_log_lines() == []
    assert run.environment() == {}


def test_events_are_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.write(Stepped(time=time.time(), step=1, epoch=1, loss=1.0, rate=1.0, seconds=1.0, memory=1))
    assert path.read_bytes().endswith(b"}\n")


def test_names_that_no_text_can_hold_end_no_run(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.write(Progressed(time=1, activity="reading \udcff.png"))
    assert [getattr(event, "activity", "") for event in read(tmp_path / "events.jsonl")] == ["reading ?.png"]
