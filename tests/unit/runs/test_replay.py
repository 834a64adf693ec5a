"""Commands that are carried out again: which ones, in which order, and when a repeated run may differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp import recipe as recipes
from ftapp.common.errors import RunError
from ftapp.common.safe_files import LARGEST
from ftapp.runs import run_creation
from ftapp.runs.commands import AnyCommand, Freeze, Rate, Stop
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import Controlled, Resumed, RunEnded
from ftapp.runs.history import History
from ftapp.runs.phase_events import PhaseStarted
from ftapp.runs.replay import ReplayedCommand, keep_commands, list_doubts, read_commands, write_commands
from ftapp.runs.resuming import check_resumable

STARTED = PhaseStarted(
    time=1, phase="p", first_step=1, steps=4, epochs=1, trainable=1, parameters=2, trainable_layers=[]
)


def planned(id: str, step: int) -> ReplayedCommand:
    command: AnyCommand = Freeze(id=id, layers="all")
    return ReplayedCommand(phase_index=0, step=step, command=command)


def answer(id: str, step: int, *, applied: bool = True) -> Controlled:
    return Controlled(time=1, id=id, command="rate", applied=applied, phase_index=0, step=step, rate=0.1)


def test_a_run_repeats_what_its_log_loses_in_order_and_then_what_it_had_not_reached(tmp_path: Path) -> None:
    run = run_creation.create(recipes.load(recipes.bundled()["bert-full"]), "r", None, tmp_path)
    write_commands(run, [planned("kept", 1), planned("refused", 3), planned("again", 3), planned("later", 9)])
    log = EventLog(run.events_file)
    log.write(answer("kept", 1))
    offset = run.events_file.stat().st_size
    for each in (answer("live", 3), answer("refused", 3, applied=False), answer("again", 3)):
        log.write(each)
    for _ in range(2):  # as where the process is killed before it cuts the log
        keep_commands(run, offset)
        assert [each.command.id for each in read_commands(run)] == ["live", "again", "later"]
    assert isinstance(read_commands(run)[0].command, Rate)


def test_a_log_of_any_size_loses_no_command(tmp_path: Path) -> None:
    run = run_creation.create(recipes.load(recipes.bundled()["bert-full"]), "r", None, tmp_path)
    steps = (b" " * 99 + b"\n") * 10_000
    with run.events_file.open("wb") as file:
        for _ in range(LARGEST // len(steps) + 1):
            file.write(steps)
    offset = run.events_file.stat().st_size
    EventLog(run.events_file).write(answer("live", 3))
    keep_commands(run, offset)
    assert [each.command.id for each in read_commands(run)] == ["live"]


def test_a_stop_is_planned_until_the_run_has_ended_by_it(tmp_path: Path) -> None:
    run = run_creation.create(recipes.load(recipes.bundled()["bert-full"]), "r", None, tmp_path)
    stop = ReplayedCommand(phase_index=0, step=4, command=Stop(id="stop"))
    write_commands(run, [stop])
    log = EventLog(run.events_file)
    log.write(Controlled(time=1, id="stop", command="stop", applied=True, phase_index=0, step=4))
    offset = run.events_file.stat().st_size
    for _ in range(2):  # the process was killed before it wrote the end
        keep_commands(run, offset)
        assert read_commands(run) == [stop]
    log.write(RunEnded(time=2, status="interrupted", steps=4, seconds=1))
    keep_commands(run, offset)
    assert read_commands(run) == []


@pytest.mark.parametrize(
    "content",
    [
        b'{"phase_index": 0, "step": 4, "comm',
        b"\x00\xff",
        b'{"phase_index": 0, "step": 4, "command": {"command": "jump"}}\n',
        b'{"phase_index": 0, "step": 4, "command": {"command": "rate", "base": -1}}\n',
        b'{"phase_index": 99999999999999999999, "step": 4, "command": {"command": "pause"}}\n',
    ],
)
def test_damaged_commands_are_left_out_only_if_asked_for(content: bytes, tmp_path: Path) -> None:
    run = run_creation.create(recipes.load(recipes.bundled()["bert-full"]), "r", None, tmp_path)
    run.replay_file.write_bytes(content)
    EventLog(run.events_file).write(answer("live", 3))
    with pytest.raises(RunError, match=r"replay.jsonl cannot be read: .* would not be carried out again"):
        check_resumable(run, anyway=False)
    assert run.replay_file.read_bytes() == content
    [difference] = check_resumable(run, anyway=True).differences
    assert "replay.jsonl" in difference
    keep_commands(run, 0)
    assert [each.command.id for each in read_commands(run)] == ["live"]


@pytest.mark.parametrize(
    ("override", "message"),
    [("phase.finetune.schedule=linear", "the learning rate"), ("keep.best=loss", "the best weights"), ("seed=1", "")],
)
def test_a_longer_run_may_differ_where_its_length_decides(override: str, message: str) -> None:
    recipe = recipes.load(recipes.bundled()["bert-full"], None, [override])
    longer = History.of([STARTED, Resumed(time=2, step=4, phase_steps=6)])
    same = History.of([STARTED, Resumed(time=2, step=2, phase_steps=4)])
    doubts = [[each for each in list_doubts("r", history, recipe) if "longer" in each] for history in (longer, same)]
    assert doubts[1] == []
    assert (message in doubts[0][0]) if message else not doubts[0]


def test_an_inexact_run_and_one_without_weights_are_pointed_out() -> None:
    recipe = recipes.load(recipes.bundled()["bert-full"])
    history = History.of([STARTED, Resumed(time=2, step=2, phase_steps=4, inexact=["keras was 3.9"])])
    assert list(list_doubts("r", history, recipe)) == [
        "r has saved no weights to compare with",
        "the weights may differ: r was resumed inexactly: keras was 3.9",
    ]
