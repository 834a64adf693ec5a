"""What goes for all tests with real runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.processes import Start, none_left
from tests.support.quick_starts import make_command


@pytest.fixture(autouse=True)
def no_process_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test starts has ended when it has."""
    yield
    none_left(tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `ftapp run` in the test's folder, as the leader of a session. What goes on at the end is killed, with
    all that it has started.

    runs_dir: where the runs are kept, if not in the folder `runs`; is_real: whether the command and its run import what
    they need, as users start them; others by name: variables of the environment.
    """
    started: list[subprocess.Popen[str]] = []

    def start(
        *arguments: str, runs_dir: Path | None = None, is_real: bool = False, **environment: str
    ) -> subprocess.Popen[str]:
        words = ["ftapp.cli", "run", *arguments, "--runs-dir", str(runs_dir or tmp_path / "runs")]
        process = subprocess.Popen(
            [sys.executable, "-m", *words] if is_real else make_command(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            cwd=tmp_path,
            start_new_session=True,
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
