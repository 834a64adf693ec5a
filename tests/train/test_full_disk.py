"""A disk that is full, a real one: runs wait for room, and go on or end as they are told."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ftapp.models import saved_model
from ftapp.runs import commands
from ftapp.runs.commands import Stop
from ftapp.runs.event_reader import read
from ftapp.runs.events import Stepped, Waited
from ftapp.runs.run_folder import Run
from tests.support.processes import Start, find_run, wait_for

_SIZE = 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root mounts a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


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


def test_a_model_is_saved_once_there_is_room(disk: Path, start_on_disk: Start) -> None:
    # Room for events and not for a model, which takes some 100 kB.
    (disk / "filler").write_bytes(bytes(_SIZE - 60 * 1024))
    process = start_on_disk("--set", "phase.head.epochs=2")
    wait_for(lambda: any(run.waits_for_room() for run in map(Run, disk.glob("2*"))), process)
    [run] = map(Run, disk.glob("2*"))
    assert shutil.disk_usage(disk).free < 60 * 1024
    (disk / "filler").unlink()
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["status"] == "done"
    assert saved_model.load(run.model_folder).classes
    assert not [path for path in run.folder.iterdir() if path.name.endswith(".tmp")]


def test_a_person_who_does_not_want_to_wait_ends_the_run(disk: Path, start_on_disk: Start) -> None:
    process = start_on_disk("--set", "phase.head.epochs=2000", "--set", "evaluate.every=1000000")
    run = wait_for(lambda: find_run(disk, trains), process)
    assert run is not None
    fill(disk)
    wait_for(run.waits_for_room, process)
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    assert run.waits_for_room()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not run.alive()
