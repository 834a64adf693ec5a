"""The queue without its process: what waits, in which order, and where its folders go."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from ftapp import recipe as recipes
from ftapp.common import confinement
from ftapp.common.confinement import Confinement
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.person import NAME
from ftapp.common.shell_variables import drop_shell_variables, read_shell_variables
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.options import Options
from ftapp.experiments.prepare_job import prepare_job
from ftapp.experiments.queue import Queue
from ftapp.experiments.queue_entries import Entry, Limits, find_turn
from ftapp.report.experiment import write_result
from ftapp.runs.leases import Lease
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_lookup import list_folders
from ftapp.workers.queue import can_start
from tests.support.sweeps import make_sweep


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue.of(tmp_path / "runs")


def add(queue: Queue, name: str = "gpt2-full", *overrides: str, repeats: int = 1, on: str = "local") -> Entry:
    options = Options(repeats)
    prepare = partial(prepare_job, recipes.find(name), "quick", overrides, options, command=["ftapp"])
    return queue.add(f"{name} (quick)", prepare, on)


def order(queue: Queue) -> list[int]:
    return [each.id for each in queue.list_entries()]


def test_entries_wait_in_order_and_are_moved_and_dropped(queue: Queue) -> None:
    for _ in range(4):
        add(queue)
    assert order(queue) == [1, 2, 3, 4]
    queue.move(4, 1)
    assert order(queue) == [4, 1, 2, 3]
    queue.move(4, 3)
    assert order(queue) == [1, 2, 4, 3]
    queue.move(1, 99)
    assert order(queue) == [2, 4, 3, 1]
    assert queue.drop(4).id == 4
    assert order(queue) == [2, 3, 1]
    assert not (queue.folder / "4").exists()
    assert add(queue).id == 5
    with pytest.raises(RecipeError, match="there is no entry 4; waiting: 2, 3, 1, 5"):
        queue.drop(4)
    with pytest.raises(RecipeError, match="there is no place 0"):
        queue.move(2, 0)


def test_what_waits_is_no_run_until_its_turn_comes(queue: Queue) -> None:
    add(queue, "gpt2-full", "seed=7")
    assert list_folders(queue.runs_dir) == []
    begun = time.time()
    entry = queue.take()
    assert entry is not None
    run = queue.find_job(entry)
    assert isinstance(run, RunFolder)
    assert list_folders(queue.runs_dir) == [entry.job] == [run.folder.name]
    assert recipes.load(run.recipe_file).seed == 7
    assert begun <= run.environment()["created"] <= time.time()
    assert entry.environment["KERAS_BACKEND"] == "tensorflow"
    assert not (queue.folder / "1").exists()
    # A process that takes the place of one that was killed gets the same entry.
    again = queue.take()
    assert again is not None
    assert again.job == entry.job
    with pytest.raises(RecipeError, match="entry 1 is running; nothing waits"):
        queue.drop(1)
    queue.end(1, "done")
    assert queue.take() is None
    assert [each.describe_status() for each in queue.list_entries()] == ["done"]


def test_a_run_that_waits_for_a_machine_is_not_told_as_running(queue: Queue) -> None:
    add(queue)
    entry = queue.take()
    assert entry
    assert queue.describe_status(entry) == "running"
    job = queue.find_job(entry)
    assert isinstance(job, RunFolder)
    job.leases.claim(Lease(launch="a", engine="slurm", state="waiting", job="12"), 0)
    assert queue.describe_status(entry) == "waiting in slurm"


def test_repeats_are_an_experiment(queue: Queue) -> None:
    add(queue, repeats=2)
    entry = queue.take()
    assert entry is not None
    experiment = queue.find_job(entry)
    assert isinstance(experiment, Experiment)
    assert experiment.folder.parent == queue.runs_dir / "experiments"
    assert experiment.planned == 2


def test_a_paused_queue_gives_nothing(queue: Queue) -> None:
    add(queue)
    queue.pause()
    assert queue.is_paused()
    assert queue.take() is None
    assert [each.describe_status() for each in queue.list_entries()] == ["waiting"]


def test_what_is_refused_is_not_added(queue: Queue) -> None:
    with pytest.raises(RecipeError, match="epochs"):
        add(queue, "gpt2-full", "phase.finetune.epochs=-1")
    assert order(queue) == []
    assert [path.name for path in queue.folder.glob("*/")] == []


def test_the_oldest_of_many_that_have_ended_are_forgotten(queue: Queue) -> None:
    entries = [
        {"id": number, "label": "x", "kind": "run", "added": 1.0, "job": "20260101-000000-x-0000"}
        for number in range(1, 31)
    ]
    queue.folder.mkdir(parents=True)
    queue.file.write_text(json.dumps({"entries": entries, "last": 30}), encoding="utf-8")
    for number in range(1, 30):
        queue.end(number, "done")
    assert order(queue) == list(range(10, 31))


def test_a_file_that_cannot_be_read_is_left_alone(queue: Queue) -> None:
    queue.folder.mkdir(parents=True)
    queue.file.write_text("{", encoding="utf-8")
    for act in (queue.list_entries, queue.pause, queue.take, partial(add, queue)):
        with pytest.raises(RunError, match=r"the queue cannot be read: .*queue\.json"):
            act()
    assert queue.file.read_text("utf-8") == "{"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"job": "../elsewhere"}, "'../elsewhere' is no name of a run or an experiment"),
        ({"job": "20260101-000000-../../x-0000"}, "is no name of a run or an experiment"),
        ({"environment": {"LD_PRELOAD": "x.so"}}, "'LD_PRELOAD' is no variable that an entry of the queue sets"),
    ],
)
def test_no_entry_leads_out_of_the_folder_of_runs_or_brings_code(
    queue: Queue, changed: dict[str, object], message: str
) -> None:
    add(queue)
    state = json.loads(queue.file.read_text("utf-8"))
    state["entries"][0] |= changed
    queue.file.write_text(json.dumps(state), "utf-8")
    with pytest.raises(RunError) as caught:
        queue.take()
    assert message in str(caught.value)


@pytest.mark.parametrize("cut", ["replace_file", "Path.rename"])
def test_a_turn_that_is_cut_off_is_taken_again(queue: Queue, monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    add(queue)

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(f"ftapp.experiments.queue.{cut}", fail)
        with pytest.raises(OSError, match="no space"):
            queue.take()
    entry = queue.take()
    assert entry is not None
    assert list_folders(queue.runs_dir) == [entry.job]
    assert order(queue) == [1]


def test_what_was_deleted_while_it_waits_holds_up_nothing(queue: Queue) -> None:
    add(queue)
    add(queue)
    shutil.rmtree(queue.folder / "1")
    entry = queue.take()
    assert entry is not None
    assert (entry.id, entry.job in list_folders(queue.runs_dir)) == (2, True)
    assert [each.describe_status() for each in queue.list_entries()] == ["deleted", "running"]


def test_the_rest_of_an_addition_that_was_cut_off_is_not_run(queue: Queue) -> None:
    add(Queue.of(queue.runs_dir / "other"), "gpt2-full", "seed=7")
    queue.folder.mkdir(parents=True)
    (queue.runs_dir / "other" / "queue" / "1").rename(queue.folder / "1")
    add(queue, "gpt2-full", "seed=8")
    entry = queue.take()
    assert entry is not None
    assert recipes.load(queue.runs_dir / entry.job / "recipe.toml").seed == 8


def as_person(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(NAME, name)


def test_people_take_turns(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ana", "ana", "ana", "ben", "cleo", "ben"):
        as_person(monkeypatch, name)
        add(queue)
    entries = queue.list_entries()
    assert [each.owner for each in entries] == ["ana", "ben", "cleo", "ana", "ben", "ana"]
    assert find_turn(entries, "ana") == "next"
    assert find_turn(entries, "cleo") == "3rd, after ana, ben"
    assert find_turn(entries, "dora") == ""
    first = queue.take()
    assert first is not None
    assert queue.find_job(first).environment()["owner"] == "ana"  # type: ignore[union-attr]
    # Who has a run going comes after those who have none.
    for name in ("ana", "dora"):
        as_person(monkeypatch, name)
        add(queue)
    waiting = [each.owner for each in queue.list_entries() if each.waits]
    assert waiting == ["ben", "cleo", "dora", "ana", "ben", "ana", "ana"]


def test_as_many_go_at_once_as_may_and_so_many_of_a_person(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    with queue.share(Limits(at_once=2, per_person=1)):
        as_person(monkeypatch, "ana")
        add(queue)
        add(queue)
        first = queue.take()
        assert first is not None
        assert queue.take([first.id]) is None  # ana's second waits for her first, although there is room
        as_person(monkeypatch, "ben")
        add(queue)
        as_person(monkeypatch, "cleo")
        add(queue)
        second = queue.take([first.id])
        assert second is not None
        assert (first.owner, second.owner) == ("ana", "ben")
        assert queue.take([first.id, second.id]) is None
        queue.end(first.id, "done")
        third = queue.take([second.id])
        assert third is not None
        assert third.owner == "cleo"
        queue.end(second.id, "done")
    assert queue.take([third.id]) is None
    queue.end(third.id, "done")
    last = queue.take()
    assert last is not None
    assert last.owner == "ana"


def test_limits_end_with_the_process_that_set_them(queue: Queue) -> None:
    code = """if True:
        import os, signal, sys
        from pathlib import Path
        from ftapp.experiments.queue import Queue
        from ftapp.experiments.queue_entries import Limits
        with Queue(Path(sys.argv[1])).share(Limits(at_once=9)):
            print("shared", flush=True)
            signal.pause()
    """
    with subprocess.Popen([sys.executable, "-c", code, str(queue.folder)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"shared\n"
        assert queue.read_limits() == Limits(at_once=9)
        with pytest.raises(RunError, match="another `ftapp serve --class` goes on"), queue.share(Limits(at_once=3)):
            pass
        server.kill()
    assert queue.read_limits() == Limits()
    with queue.share(Limits(at_once=3)):
        assert queue.read_limits() == Limits(at_once=3)
    assert queue.read_limits() == Limits()


def test_the_run_of_a_student_keeps_to_the_folders_of_the_student(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = Confinement.make("ana", queue.runs_dir, ())
    monkeypatch.setenv(confinement.VARIABLE, student.environment[confinement.VARIABLE])
    assert add(queue).environment.items() >= student.environment.items()
    assert add(queue, repeats=2).environment.items() >= student.environment.items()
    monkeypatch.delenv(confinement.VARIABLE)
    assert confinement.VARIABLE not in add(queue).environment


def test_an_entry_has_the_variables_of_the_shell_that_adds_it(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("https_proxy", "http://name:secret@proxy:8080")
    monkeypatch.setenv("FTAPP_TOKEN", "secret")
    monkeypatch.setenv("TF_VAR_password", "secret")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("XLA_FLAGS", "--xla_of_a_test")
    elsewhere = add(queue, on="slurm").environment
    assert elsewhere["XLA_FLAGS"] == "--xla_of_a_test"
    assert "CUDA_VISIBLE_DEVICES" not in elsewhere  # Slurm sets it
    first = add(queue)
    assert first.environment["CUDA_VISIBLE_DEVICES"] == ""
    assert first.environment["KERAS_BACKEND"] == "tensorflow"  # the recipe's, and not that of the shell
    assert "secret" not in queue.file.read_text("utf-8")
    for name, value in read_shell_variables().items():
        monkeypatch.setenv(name, value)  # so that they come back after the test
    drop_shell_variables()
    second = add(queue, repeats=2)
    assert not {"CUDA_VISIBLE_DEVICES", "KERAS_BACKEND"} & second.environment.keys()
    assert os.environ["FTAPP_TOKEN"] == "secret"


def test_the_process_starts_when_a_student_has_added_something(queue: Queue) -> None:
    with queue.keep_going():
        add(queue)
        shutil.rmtree(queue.folder / "1")  # there is nothing to train
        deadline = time.monotonic() + 60
        while queue.list_entries()[0].waits and time.monotonic() < deadline:
            time.sleep(0.05)
    assert [each.describe_status() for each in queue.list_entries()] == ["deleted"]
    while queue.alive():
        time.sleep(0.05)


def test_a_sweep_that_was_cut_off_goes_on_with_the_queue_and_one_that_was_ended_does_not(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "runs", status=None)
    assert can_start(sweep)
    sweep.stop()
    assert not can_start(sweep)
    (sweep.folder / "stop").unlink()
    write_result(sweep)
    assert can_start(sweep), "it was cut off after it had gone on"
    sweep.write_facts(sweep.facts | {"sweep": sweep.facts["sweep"] | {"status": "interrupted"}})
    assert not can_start(sweep)
