"""The local launcher with real processes, which run a script in the place of a run's main."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ftapp.common.locks import is_locked
from ftapp.runs.launcher import AT_ONCE, Launcher, LocalLauncher

SCRIPT = """
import os, signal, sys, time
def interrupted(number, frame):
    print("signal", number, flush=True)
    os._exit(7 if number == signal.SIGINT else 8)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
    signal.signal(number, interrupted)
print(os.environ["GREETING"], "from", os.getsid(0), flush=True)
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT))
time.sleep(600)
"""


@dataclass(frozen=True)
class Script:
    """A job whose process runs `folder`, a script, by a module of Python that takes one."""

    folder: Path
    worker: str = "cProfile"

    @property
    def lock_file(self) -> Path:
        return self.folder.with_suffix(".lock")

    @property
    def log_file(self) -> Path:
        return self.folder.with_suffix(".log")


@pytest.fixture
def job(tmp_path: Path) -> Script:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    return Script(file)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 7), (signal.SIGTERM, 8), (AT_ONCE, 8)])
def test_a_job_lives_until_it_is_interrupted(job: Script, number: int, code: int) -> None:
    launcher: Launcher = LocalLauncher()
    launcher.start(job, {"GREETING": "hello"})
    assert launcher.alive(job)
    assert is_locked(job.lock_file), "from the moment it is started, for all processes"
    launcher.interrupt(job, number)  # before it can answer: the signal waits for it
    assert launcher.wait(job) == code
    assert not launcher.alive(job)
    assert not is_locked(job.lock_file)
    launcher.interrupt(job)  # which changes nothing
    greeting, report = job.log_file.read_text().splitlines()[:2]
    assert greeting.startswith("hello from ")
    assert greeting != f"hello from {os.getsid(0)}"
    assert report == f"signal {number:d}"


def test_a_job_that_is_not_asked_goes_on(job: Script) -> None:
    launcher = LocalLauncher()
    launcher.start(job, {"GREETING": "hello"})
    while "hello" not in job.log_file.read_text():
        time.sleep(0.02)
    assert launcher.alive(job)
    launcher.interrupt(job, AT_ONCE)
    assert launcher.wait(job) == 8


def test_a_worker_that_does_not_exist_ends_and_says_so(job: Script) -> None:
    missing = Script(job.folder, worker="ftapp.workers.nothing")
    launcher = LocalLauncher()
    launcher.start(missing, {})
    assert launcher.wait(missing) == 1
    assert "No module named ftapp.workers.nothing" in missing.log_file.read_text()
