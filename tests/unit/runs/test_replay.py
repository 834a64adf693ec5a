"""Commands that are carried out again: which ones, in which order, and when a repeated run may differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp import recipe as recipes
from ftapp.common.safe_files import LARGEST
from ftapp.runs import run_folder
from ftapp.runs.commands import AnyCommand, Freeze, Rate
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import Controlled, PhaseStarted, Resumed
from ftapp.runs.history import History
from ftapp.runs.replay import ReplayedCommand, keep_commands, list_doubts, read_commands, write_commands

STARTED = PhaseStarted(
    time=1, phase="p", first_step=1, steps=4, epochs=1, trainable=1, parameters=2, trainable_layers=[]
)


def planned(id: str, step: int) -> ReplayedCommand:
    command: AnyCommand = Freeze(id=id, layers="all")
    return ReplayedCommand(phase_index=0, step=step, command=command)


def answer(id: str, step: int, *, applied: bool = True) -> Controlled:
    return Controlled(time=1, id=id, command="rate", applied=applied, phase_index=0, step=step, rate=0.1)


def test_a_run_repeats_what_its_log_loses_in_order_and_then_what_it_had_not_reached(tmp_path: Path) -> None:
    run = run_folder.create(recipes.load(recipes.bundled()["bert-full"]), "r", None, tmp_path)
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
    run = run_folder.create(recipes.load(recipes.bundled()["bert-full"]), "r", None, tmp_path)
    steps = (b" " * 99 + b"\n") * 10_000
    with run.events_file.open("wb") as file:
        for _ in range(LARGEST // len(steps) + 1):
            file.write(steps)
    offset = run.events_file.stat().st_size
    EventLog(run.events_file).write(answer("live", 3))
    keep_commands(run, offset)
    assert [each.command.id for each in read_commands(run)] == ["live"]


@pytest.mark.parametrize(
    ("override", "told"),
    [("phase.finetune.schedule=linear", "the learning rate"), ("keep.best=loss", "the best weights"), ("seed=1", "")],
)
def test_a_longer_run_may_differ_where_its_length_decides(override: str, told: str) -> None:
    recipe = recipes.load(recipes.bundled()["bert-full"], None, [override])
    longer = History.of([STARTED, Resumed(time=2, step=4, phase_steps=6)])
    same = History.of([STARTED, Resumed(time=2, step=2, phase_steps=4)])
    doubts = [[each for each in list_doubts("r", history, recipe) if "longer" in each] for history in (longer, same)]
    assert doubts[1] == []
    assert (told in doubts[0][0]) if told else not doubts[0]


def test_an_inexact_run_and_one_without_weights_are_pointed_out() -> None:
    recipe = recipes.load(recipes.bundled()["bert-full"])
    history = History.of([STARTED, Resumed(time=2, step=2, phase_steps=4, inexact=["keras was 3.9"])])
    assert list(list_doubts("r", history, recipe)) == [
        "r has saved no weights to compare with",
        "the weights may differ: r was resumed inexactly: keras was 3.9",
    ]
