"""What goes for all tests of faults: a disk of its own, forked runs, and runs that are made before they train."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftapp import recipe as recipes
from ftapp.runs import run_creation
from ftapp.runs.event_reader import read
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder
from tests.support.forks import Forks
from tests.support.processes import none_left
from tests.train.conftest import start as start

DISK_SIZE = 2**20

Make = Callable[..., RunFolder]
"""Makes a run's folder, in `folder` if that is given, from a recipe's text and overrides."""
Train = Callable[[RunFolder], tuple[int, History]]
"""Does a run, or goes on with it, in this process: (exit code, history)."""
Fork = Callable[..., Forks]
"""Starts the process of a run, with further variables by name."""


@pytest.fixture(autouse=True)
def no_process_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test starts has ended when it has."""
    yield
    none_left(tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root mounts a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="session")
def _forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    forks.close()


@pytest.fixture
def fork(_forks: Forks) -> Iterator[Fork]:
    def fork(run: RunFolder, **environment: str) -> Forks:
        _forks.start(run, {**os.environ, **environment})
        return _forks

    yield fork
    _forks.kill()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(text: str, *overrides: str, folder: Path = tmp_path / "runs") -> RunFolder:
        file = tmp_path / "tiny.toml"
        file.write_text(text, encoding="utf-8")
        return run_creation.create(recipes.load(file, None, overrides), "tiny", None, folder)

    return make


@pytest.fixture
def train(own_precision: None) -> Train:
    from ftapp.workers import run as run_worker

    def train(run: RunFolder) -> tuple[int, History]:
        code = run_worker.main(run.folder)
        return code, History.of(read(run.events_file))

    return train
