"""A disk that is full, a real one: runs wait for room, and go on or end as they are told."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ftapp.common.cache_folders import matches_manifest
from ftapp.models import saved_model
from ftapp.runs import commands
from ftapp.runs.checkpoints import list_checkpoints
from ftapp.runs.commands import Checkpoint, Pause, Stop
from ftapp.runs.event_reader import read
from ftapp.runs.events import StateSaved, Waited
from ftapp.runs.phase_events import Stepped
from ftapp.runs.replay import ReplayedCommand, write_commands
from tests.faults.conftest import DISK_SIZE, Fork, Make, Train
from tests.support.processes import Start, find_run, wait_for


@pytest.fixture
def start_on_disk(disk: Path, start: Start, tmp_path: Path, image_recipe: str) -> Start:
    """Starts `ftapp run` of a tiny recipe whose run is kept on the disk."""
    (tmp_path / "tiny.toml").write_text(image_recipe, encoding="utf-8")
    return partial(start, "tiny.toml", "--json", runs_dir=disk)


def trains(event: Any) -> bool:
    return isinstance(event, Stepped) and event.step >= 3


def fill(disk: Path) -> Path:
    """Put a file on the disk that leaves no room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return filler


def test_a_run_waits_for_room_and_goes_on(disk: Path, start_on_disk: Start) -> None:
    process = start_on_disk("--set", "phase.head.epochs=2000", "--set", "evaluate.every=1000000")
    run = wait_for(lambda: find_run(disk, trains), process)
    assert run is not None
    filler = fill(disk)
    wait_for(run.waits_for_room, process)
    assert run.status() == "running"
    commands.send(run, Stop())  # there is room for it in the file's last block
    time.sleep(1)
    assert run.waits_for_room()
    filler.unlink()
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 130, stderr
    result = json.loads(stdout)
    assert result["status"] == "interrupted"
    assert "full: the run waits" in stderr
    assert "the disk has space again" in stderr
    events = read(run.events_file)
    assert any(isinstance(event, Waited) and event.seconds > 1 for event in events)
    steps = [event.step for event in events if isinstance(event, Stepped)]
    assert steps == list(range(1, result["steps"] + 1))
    assert max(event.seconds for event in events if isinstance(event, Stepped)) < 20
    assert saved_model.load(run.model_folder).classes


def test_a_model_is_saved_once_there_is_room(disk: Path, make: Make, fork: Fork, image_recipe: str) -> None:
    # Room for events and not for a model, which takes some 100 kB.
    (disk / "filler").write_bytes(bytes(DISK_SIZE - 60 * 1024))
    run = make(image_recipe, "phase.head.epochs=2", folder=disk)
    forks = fork(run)
    wait_for(run.waits_for_room)
    assert shutil.disk_usage(disk).free < 60 * 1024
    assert run.history().saved is None
    (disk / "filler").unlink()
    assert forks.wait(run) == 0
    assert run.status() == "done"
    assert saved_model.load(run.model_folder).classes
    assert not [path for path in run.folder.iterdir() if path.name.endswith(".tmp")]


def test_a_person_who_does_not_want_to_wait_ends_the_runs(disk: Path, start_on_disk: Start) -> None:
    process = start_on_disk("--repeat", "2", "--set", "phase.head.epochs=2000", "--set", "evaluate.every=1000000")
    run = wait_for(lambda: find_run(disk, trains), process)
    assert run is not None
    fill(disk)
    wait_for(run.waits_for_room, process)
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    assert run.waits_for_room()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert f"ended without saving; 'ftapp resume {run.folder.name}'" in stderr
    result, way_on = stderr.splitlines()[-2:]
    assert result.endswith("the disk is full, so the result is not written")
    assert re.fullmatch(r"'ftapp resume [\w-]+' goes on with the experiment", way_on)
    assert not run.alive()


def test_a_run_that_is_told_to_stop_waits_no_more(disk: Path, make: Make, fork: Fork, image_recipe: str) -> None:
    run = make(image_recipe, "phase.head.epochs=2000", "evaluate.every=1000000", folder=disk)
    forks = fork(run)
    wait_for(lambda: find_run(disk, trains))
    filler = fill(disk)
    wait_for(run.waits_for_room)
    commands.send(run, Stop())
    assert forks.wait(run) == 130
    assert filler.exists()
    steps = [event.step for event in read(run.events_file) if isinstance(event, Stepped)]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.slow
def test_a_sweep_that_a_batch_system_ends_waits_for_room_no_more(disk: Path, start_on_disk: Start) -> None:
    process = start_on_disk(
        *("--over", "phase.head.learning_rate=[0.01, 0.02]", "--set", "phase.head.epochs=2000"),
        *("--set", "evaluate.every=1000000"),
        command="sweep",
    )
    run = wait_for(lambda: find_run(disk, trains), process)
    assert run is not None
    fill(disk)
    wait_for(run.waits_for_room, process)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 75, stderr
    assert "the disk is full, so the end of the sweep is not written" in stderr
    assert not run.alive()


def test_a_checkpoint_for_which_there_is_no_room_is_not_told_as_saved(
    disk: Path, make: Make, train: Train, image_recipe: str
) -> None:
    """Without room the run goes on; at its end it waits, so that its last state is not lost."""
    run = make(image_recipe, "checkpoint.every_steps=1")
    run.checkpoints_folder.symlink_to(disk)
    filler = fill(disk)

    def make_room() -> None:
        wait_for(run.waits_for_room)
        filler.unlink()

    freeing = threading.Thread(target=make_room)
    freeing.start()
    code, history = train(run)
    freeing.join()
    assert code == 0
    notes = [note.message for note in history.notes]
    assert len(notes) == 9
    assert set(notes) == {
        f"the checkpoint of step {step} could not be saved: No space left on device; the run goes on and tries again"
        for step in range(1, 10)
    }
    assert [event.step for event in read(run.events_file) if isinstance(event, StateSaved)] == [9]
    [(step, folder)] = list_checkpoints(run)
    assert step == 9
    assert matches_manifest(folder)
    assert [path.name for path in disk.iterdir()] == [folder.name]


def test_a_checkpoint_in_a_read_only_folder_is_not_told_as_saved(
    disk: Path, make: Make, train: Train, image_recipe: str
) -> None:
    run = make(image_recipe, "checkpoint.every_steps=1")
    run.checkpoints_folder.symlink_to(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    code, history = train(run)
    assert code == 0
    assert {note.message.partition(": ")[2] for note in history.notes} == {
        "Read-only file system; the run goes on and tries again"
    }
    assert history.state is None
    assert history.saved
    assert list_checkpoints(run) == []


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_model_that_a_command_cannot_save_is_refused_with_the_reason(
    fault: str, disk: Path, make: Make, train: Train, image_recipe: str
) -> None:
    run = make(image_recipe)
    run.checkpoints_folder.symlink_to(disk)
    # Room for the state of the training and not for a model.
    (disk / "filler").write_bytes(bytes(DISK_SIZE - 60 * 1024))
    if fault == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    write_commands(run, [ReplayedCommand(phase_index=0, step=3, command=Checkpoint())])
    code, history = train(run)
    assert code == 0
    assert len(history.steps) == 9
    [answer] = history.controlled
    assert (answer.command, answer.applied, answer.step) == ("checkpoint", False, 3)
    why = "No space left on device" if fault == "full" else "Read-only file system"
    assert answer.reason == f"{run.snapshot_folder(3)} cannot be written: {why}"
    assert not history.checkpoints
    assert {path.name for path in disk.iterdir()} - {"filler"} == {folder.name for _, folder in list_checkpoints(run)}
    assert history.saved


def test_a_model_in_a_folder_that_became_read_only_is_not_told_as_saved(
    disk: Path, make: Make, train: Train, fork: Fork, image_recipe: str
) -> None:
    code, whole = train(make(image_recipe))
    assert code == 0
    run = make(image_recipe, folder=disk)
    write_commands(run, [ReplayedCommand(phase_index=0, step=5, command=Pause())])
    forks = fork(run)
    wait_for(lambda: run.history().paused)
    # A second mount above the first: the files that the run has opened can be written to, and no other ones.
    subprocess.run(["mount", "--bind", disk, disk], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", disk], check=True)
    try:
        forks.interrupt(run, signal.SIGTERM)
        assert forks.wait(run) == 1
        history = run.history()
    finally:
        subprocess.run(["umount", disk], check=True)
    assert history.saved is None
    assert history.ended is not None
    assert history.ended.status == "failed"
    assert "Read-only file system" in str(history.ended.error)
    assert not run.model_folder.exists()
    assert fork(run).wait(run) == 0
    history = run.history()
    assert history.saved is not None
    assert whole.saved is not None
    assert history.saved.weights == whole.saved.weights
    assert saved_model.load(run.model_folder).classes
