"""Last lines of events.jsonl and control.jsonl that were written by half."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest

from ftapp.common.locks import hold_lock
from ftapp.runs import commands
from ftapp.runs.commands import Stop
from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_reader import EventReader, read
from ftapp.runs.events import Controlled, Noted
from ftapp.runs.history import Follower
from ftapp.runs.run_folder import RunFolder
from tests.conftest import Finished
from tests.faults.conftest import Train
from tests.support.checkpoints import cut_back
from tests.support.histories import without_clocks

HALF = b'{"event":"step","time":17'


def cut_last_line(file: Path, size: int) -> None:
    """Cut a file as a process that is killed while it writes its last line leaves it."""
    content = file.read_bytes()
    begin = content.rstrip(b"\n").rfind(b"\n") + 1
    file.write_bytes(content[: begin + size])


def test_a_run_goes_on_after_a_half_written_event(ended: Finished, train: Train) -> None:
    whole, run = ended
    assert whole.saved
    for size in (0, 1, 20):
        copy = cut_back(run, 5 + bool(size))
        cut_last_line(copy.events_file, size)
        copy.control_file.write_bytes(b'{"command":"sto')
        left = copy.folder / ".layers.json.0123abcd.tmp"
        left.write_bytes(b"{")
        code, again = train(copy)
        assert not left.exists()
        assert code == 0
        assert again.saved
        assert again.saved.weights == whole.saved.weights
        assert without_clocks(again) == without_clocks(whole)
        assert not again.damaged
        shutil.rmtree(copy.folder)


def test_a_run_that_cannot_go_on_says_so_behind_a_half_written_event(ended: Finished, train: Train) -> None:
    _, run = ended
    cut_last_line(run.events_file, 30)
    before = run.events_file.read_bytes()
    text = run.recipe_file.read_text("utf-8")
    run.recipe_file.write_text(text.replace("learning_rate = 0.01", "learning_rate = 0.02"), encoding="utf-8")
    assert train(run)[0] == 2
    assert run.events_file.read_bytes().startswith(before)
    follower = Follower(run.events_file)
    while follower.advance():
        pass
    assert "recipe.toml was changed" in follower.history.notes[-1].message
    assert follower.history.damaged == 1


def test_a_command_after_one_that_was_written_by_half_arrives(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.control_file.write_bytes(b'\n{"command":"pause","id":"ab')
    control = Control(run, EventLog(run.events_file), elapsed=0.0)
    assert not control.should_stop()
    with hold_lock(run.lock_file, fcntl.LOCK_EX):
        commands.send(run, Stop(id="c"))
    assert control.should_stop()
    [answer] = read(run.events_file)
    assert isinstance(answer, Controlled)
    assert (answer.id, answer.applied) == ("c", True)


@pytest.mark.parametrize("content", [b"", HALF, HALF + b"\n", b"\n"])
def test_an_event_begins_a_line_of_its_own(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(content)
    EventLog(file).write(Noted(time=1.0, message="first"))
    EventLog(file).write(Noted(time=2.0, message="second"))
    reader = EventReader(file)
    assert [event.message for event in reader.read() if isinstance(event, Noted)] == ["first", "second"]
    assert reader.damaged == (1 if HALF in content else 0)
