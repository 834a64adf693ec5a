"""`ftapp queue`: its list, and what it refuses. tests/train/test_queue.py has its process."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ftapp.cli import app
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.queue import Queue
from ftapp.experiments.queue_entries import Limits
from ftapp.experiments.sweep.search import Search
from tests.support.documents import commands


@pytest.fixture(autouse=True)
def runs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("ftapp.data.preflight.check", lambda recipes, progress: None)  # there are no data
    return tmp_path / "runs"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app.app, ["queue", *arguments])


def test_an_empty_queue_is_listed(runs_dir: Path) -> None:
    assert json.loads(invoke("--json").stdout) == {
        "folder": str(runs_dir / "queue"),
        "active": False,
        "paused": False,
        "entries": [],
    }
    assert invoke().exit_code == 0


def test_the_limits_of_a_class_are_told_while_it_goes_on(runs_dir: Path) -> None:
    with Queue.of(runs_dir).share(Limits(at_once=3, per_person=1)):
        assert "3 at once, 1 of one person: `ftapp serve --class` shares the queue" in invoke().stdout
    assert "at once" not in invoke().stdout


def test_recipes_are_held_moved_dropped_and_listed() -> None:
    result = invoke("add", "gpt2-full", "lesson-bert-frozen-attention", "--profile", "quick", "--hold", "--seed", "3")
    assert result.stdout == "1: gpt2-full (quick)\n2: lesson-bert-frozen-attention (quick)\n"
    assert invoke("move", "2", "1").exit_code == 0
    entries = json.loads(invoke("--json").stdout)["entries"]
    assert [(each["id"], each["kind"], each["status"]) for each in entries] == [
        (2, "experiment", "waiting"),
        (1, "run", "waiting"),
    ]
    assert invoke("drop", "2").stdout == "dropped: lesson-bert-frozen-attention (quick)\n"
    listed = invoke().stdout
    assert "gpt2-full (quick)" in listed
    assert "'ftapp queue start'" in listed


def test_a_paused_queue_stays_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Queue, "start", lambda self: pytest.fail("it was started"))
    assert invoke("pause").exit_code == 0
    result = invoke("add", "gpt2-full", "--profile", "quick")
    assert (result.exit_code, "the queue is paused" in result.stderr) == (0, True)


def test_what_cannot_run_is_refused_before_anything_is_added() -> None:
    for arguments, message in [
        (["gpt2-full", "gpt3"], "there is no recipe 'gpt3'"),
        (["gpt2-full", "--set", "seed=-1"], "seed"),
        ([], "no recipe is given"),
    ]:
        result = invoke("add", *arguments)
        assert (result.exit_code, message in result.output) == (2, True), result.output
    assert json.loads(invoke("--json").stdout)["entries"] == []
    assert invoke("drop", "1").exit_code == 2


def test_a_sweep_waits_for_its_turn(runs_dir: Path) -> None:
    over = ("--over", "phase.finetune.learning_rate=log(1e-5, 1e-3)", "--set", "sweep.trials=4")
    split = ("--set", "data.validation=0.2")
    result = invoke("add", "bert-full", "--profile", "quick", *split, *over, "--jobs", "2", "--hold")
    assert result.stdout == "1: bert-full (quick)\n"
    entry = Queue.of(runs_dir).take()
    assert entry
    sweep = Queue.of(runs_dir).find_job(entry)
    assert isinstance(sweep, Experiment)
    assert (sweep.is_sweep, sweep.facts["jobs"], Search.of(sweep).sweep.trials) == (True, 2, 4)
    for arguments, message in [
        (over, "there is no validation split"),
        ((*split, "--sweep"), "no values to try are given"),
        ((*split, *over, "--repeat", "3"), "--repeat 3 does not go with a sweep"),
        (("--arm", "A"), "--arm 'A' is for a sweep"),
        ((*split, "--over", "phase.finetune.batch_size=[8, 0]"), "the choice 0: 0 is too small"),
    ]:
        result = invoke("add", "bert-full", "--hold", *arguments)
        assert (result.exit_code, message in result.output) == (2, True), result.output


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path / "file"))
    for arguments in (["add", "gpt2-full", "--hold"], ["pause"], ["start"]):
        result = invoke(*arguments)
        assert result.exit_code == 1
        assert result.output.startswith("the folder of runs cannot be written: Not a directory: ")


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("ftapp queue")])
def test_documented_commands_are_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Queue] = []
    monkeypatch.setattr(Queue, "start", lambda self: started.append(self))
    assert invoke("add", "gpt2-full", "gpt2-full", "gpt2-full", "--hold").exit_code == 0
    result = CliRunner().invoke(app.app, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
