"""A disk that is full, a real one: runs wait for room, and go on or end as they are told."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ftapp.models import saved_model
from ftapp.runs import commands
from ftapp.runs.commands import Stop
from ftapp.runs.event_reader import read
from ftapp.runs.events import Stepped, Waited
from ftapp.runs.run_folder import Run

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
def start(tmp_path: Path, disk: Path, image_recipe: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `ftapp run` of a tiny recipe on the disk."""
    (tmp_path / "tiny.toml").write_text(image_recipe, encoding="utf-8")
    started = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ftapp.cli", "run", "tiny.toml", "--json", "--runs-dir", str(disk)]
        process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.communicate()


def until(process: subprocess.Popen[str], is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if is_so():
            return
        time.sleep(0.02)
    raise AssertionError(process.communicate(timeout=10) if process.poll() is not None else "too slow")


def training(disk: Path) -> Run | None:
    for file in disk.glob("*/events.jsonl"):
        if any(isinstance(event, Stepped) and event.step >= 3 for event in read(file)):
            return Run(file.parent)
    return None


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


def test_a_run_waits_for_room_and_goes_on(disk: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("--set", "phase.head.epochs=2000", "--set", "evaluate.every=1000000")
    until(process, lambda: training(disk) is not None)
    filler, run = fill(disk), training(disk)
    assert run is not None
    until(process, run.waits_for_room)
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
    assert "there is room on the disk again" in stderr
    events = read(run.events_file)
    assert any(isinstance(event, Waited) and event.seconds > 1 for event in events)
    steps = [event.step for event in events if isinstance(event, Stepped)]
    assert steps == list(range(1, result["steps"] + 1))
    assert max(event.seconds for event in events if isinstance(event, Stepped)) < 20
    assert saved_model.load(run.model_folder).classes


def test_a_model_is_saved_once_there_is_room(
    disk: Path, start: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Room for events and not for a model, which takes some 100 kB.
    (disk / "filler").write_bytes(bytes(_SIZE - 60 * 1024))
    process = start("--set", "phase.head.epochs=2")
    until(process, lambda: any(run.waits_for_room() for run in map(Run, disk.glob("2*"))))
    [run] = map(Run, disk.glob("2*"))
    assert shutil.disk_usage(disk).free < 60 * 1024
    (disk / "filler").unlink()
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["status"] == "done"
    assert saved_model.load(run.model_folder).classes
    assert not [path for path in run.folder.iterdir() if path.name.endswith(".tmp")]


def test_a_person_who_does_not_want_to_wait_ends_the_run(
    disk: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start("--set", "phase.head.epochs=2000", "--set", "evaluate.every=1000000")
    until(process, lambda: training(disk) is not None)
    fill(disk)
    run = training(disk)
    assert run is not None
    until(process, run.waits_for_room)
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    assert run.waits_for_room()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not run.alive()
