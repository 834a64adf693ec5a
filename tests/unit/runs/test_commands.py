"""Commands as lines of a file: how they are sent, carried out and answered, without a model."""

from __future__ import annotations

import fcntl
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftapp.common.errors import RunError
from ftapp.runs import commands
from ftapp.runs.commands import AnyCommand, Checkpoint, Pause, Rate, Resume, Stop
from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_reader import read
from ftapp.runs.events import Controlled, RunEnded
from ftapp.runs.history import History
from ftapp.runs.launcher import STOP_SIGNALS
from ftapp.runs.narrator import explain
from ftapp.runs.run_folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    """A folder whose lock is held, as by a run's process."""
    run = RunFolder(tmp_path)
    with run.lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield run


@pytest.fixture
def taken(run: RunFolder) -> Control:
    control = Control(run, EventLog(run.events_file), locate=lambda: (0, 7))
    control.handle_signals()
    return control


def answers(run: RunFolder) -> list[tuple[str, bool, str | None]]:
    events = [event for event in read(run.events_file) if isinstance(event, Controlled)]
    return [(event.command, event.applied, event.reason) for event in events]


def refuse(command: AnyCommand) -> str | None:
    return f"no {command.name} here"


def test_commands_are_carried_out_once_and_in_order(run: RunFolder, taken: Control) -> None:
    done: list[AnyCommand] = []

    def apply_command(command: AnyCommand) -> str | None:
        done.append(command)
        return None

    assert taken.process_commands(apply_command)
    given: list[AnyCommand] = [Checkpoint(), Rate(base=0.25), Checkpoint()]
    for command in given:
        commands.send(run, command)
    commands.send(run, given[1])  # the same once more
    assert taken.process_commands(apply_command)
    assert taken.process_commands(apply_command)
    assert done == given
    events = [event for event in read(run.events_file) if isinstance(event, Controlled)]
    assert [event.id for event in events] == [command.id for command in given]
    assert {event.step for event in events} == {7}
    assert events[1].rate == 0.25
    assert answers(run) == [("checkpoint", True, None), ("rate", True, None), ("checkpoint", True, None)]


def test_what_is_not_done_is_answered_with_the_reason(run: RunFolder, taken: Control) -> None:
    commands.send(run, Checkpoint())
    commands.send(run, Resume())
    with run.control_file.open("ab") as file:
        file.write(b'{"command":"dance","id":"a"}\n\xff{\n{"command":"rate","id":"b","base":-1}\n')
    assert taken.process_commands(refuse)
    commands.send(run, Checkpoint())
    taken.close()
    found = answers(run)
    assert ("checkpoint", False, "no checkpoint here") in found
    assert ("resume", False, "it is not paused") in found
    assert found[-1] == ("checkpoint", False, "the run has no step left")
    reasons = {command: reason for command, _, reason in found}
    assert "dance" in str(reasons["dance"])
    assert "a learning rate is above 0; got -1" in str(reasons["rate"])
    assert not any(applied for _, applied, _ in found)


def test_half_a_line_waits_for_its_end(run: RunFolder, taken: Control) -> None:
    run.control_file.write_bytes(b'{"command":"stop",')
    assert not taken.should_stop()
    with run.control_file.open("ab") as file:
        file.write(b'"id":"a"}\n')
    assert taken.should_stop()
    assert answers(run) == [("stop", True, None)]


@pytest.mark.parametrize("way_out", ["resume", "stop", "signal"])
def test_a_pause_lasts_until_a_command_or_a_signal(run: RunFolder, taken: Control, way_out: str) -> None:
    taken.can_wait = True
    commands.send(run, Pause())
    commands.send(run, Pause())

    def end() -> None:
        while ("pause", True, None) not in answers(run):
            time.sleep(0.01)
        time.sleep(0.3)
        if way_out == "signal":
            signal.raise_signal(signal.SIGTERM)
        else:
            commands.send(run, Resume() if way_out == "resume" else Stop())

    other = threading.Thread(target=end)
    before, begun = taken.clock(), time.perf_counter()
    other.start()
    goes_on = taken.process_commands(refuse)
    other.join()
    assert goes_on == (way_out == "resume")
    assert answers(run)[:2] == [("pause", True, None), ("pause", False, "it is paused already")]
    # The run's clock stood still, in which nothing else happened.
    assert time.perf_counter() - begun >= 0.3
    assert taken.clock() - before < time.perf_counter() - begun - 0.25


def test_a_stop_is_a_wish_that_is_known_at_once(run: RunFolder, taken: Control) -> None:
    commands.send(run, Stop())
    commands.send(run, Stop())
    assert taken.should_stop()
    assert answers(run) == [("stop", True, None), ("stop", False, "it is ending already")]
    assert not taken.process_commands(refuse)


def test_a_signal_is_a_wish_also_where_what_it_raises_is_swallowed(taken: Control) -> None:
    assert not taken.should_stop()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert taken.should_stop()


@pytest.mark.parametrize(("first", "status"), [(signal.SIGTERM, "unfinished"), (signal.SIGINT, "interrupted")])
def test_the_first_request_decides_the_status(run: RunFolder, taken: Control, first: int, status: str) -> None:
    taken.can_wait = True
    for number in (first, *STOP_SIGNALS):
        signal.raise_signal(number)
    commands.send(run, Stop())
    assert taken.should_stop()
    assert taken.stop_status == status


def test_a_run_whose_time_is_over_ends_after_a_step_of_this_process(run: RunFolder) -> None:
    steps = [7]
    control = Control(run, EventLog(run.events_file), locate=lambda: (0, steps[0]), ends_at=time.monotonic() - 1)
    assert not control.should_stop()
    steps[0] += 1
    assert control.should_stop()
    assert control.stop_status == "unfinished"


def test_a_pause_ends_when_the_time_is_over(run: RunFolder) -> None:
    steps = [7]
    control = Control(run, EventLog(run.events_file), locate=lambda: (0, steps[0]), ends_at=time.monotonic() + 0.3)
    steps[0] += 1
    commands.send(run, Pause())
    assert not control.process_commands(refuse)
    assert answers(run) == [("pause", True, None)]


def test_a_run_whose_folder_is_deleted_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder(tmp_path / "run")
    run.folder.mkdir()
    control = Control(run, EventLog(run.events_file))
    shutil.rmtree(run.folder)
    with pytest.raises(RunError, match=r"run was deleted"):
        control.process_commands(refuse)
    explain(run, History(), run.status(), debug=False)
    assert capsys.readouterr().err == "crashed: run: its folder is gone: it was deleted or moved\n"


def test_a_run_whose_folder_is_moved_goes_on(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.folder.mkdir()
    control = Control(run, EventLog(run.events_file))
    run.folder.rename(tmp_path / "elsewhere")
    assert control.process_commands(refuse)


def test_a_run_that_has_ended_takes_no_commands(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    EventLog(run.events_file).write(RunEnded(time=1, status="done", steps=1, seconds=1))
    with pytest.raises(RunError, match=r"the run has ended \(status: done\), so it takes no commands"):
        commands.send(run, Pause())
    assert not run.control_file.exists()


@pytest.mark.parametrize("base", [0.0, -1e-3, float("nan"), float("inf")])
def test_a_rate_is_above_zero(base: float) -> None:
    with pytest.raises(ValueError, match=f"a learning rate is above 0; got {base}"):
        Rate(base=base)


def test_a_history_knows_whether_its_run_is_paused() -> None:
    def answer(command: str, applied: bool = True) -> Controlled:
        return Controlled(time=1, id="a", command=command, applied=applied, step=1)

    history = History.of([answer("pause"), answer("rate"), answer("resume", applied=False)])
    assert history.paused
    assert not History.of([answer("pause"), answer("resume")]).paused
    assert not History.of([answer("pause"), answer("stop")]).paused
    assert len(history.controlled) == 3
    ended = RunEnded(time=1, status="interrupted", steps=1, seconds=1)
    assert not History.of([*history.controlled, ended]).paused
