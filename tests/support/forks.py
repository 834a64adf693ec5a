"""Processes of runs that begin where Keras is imported: each is a fork of one process that has computed nothing yet.

An import takes seconds, and a test that kills a run again and again needs many processes. A fork is a process of its
own, with the files, locks and signals of a run's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from ftapp.runs.launcher import AT_ONCE, STOP_SIGNALS, JobFolder, do_nothing
from ftapp.runs.run_folder import RunFolder
from tests.support import quick_starts
from tests.support.files import ROOT
from tests.support.processes import SHARED

CLOCK = "FTAPP_TEST_CLOCK"
"""The variable that names the file with the seconds by which the clock of a forked process is wrong."""


class Forks:
    """A launcher (`ftapp.runs.launcher.Launcher`) of one process at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            quick_starts.make_command("tests.support.forks"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        SHARED.add(self._process.pid)
        self.pid = 0
        self._code: int | None = None

    def start(self, job: JobFolder, environment: Mapping[str, str], prepare: Callable[[], None] = do_nothing) -> None:
        """Start a job's process. environment: all of its variables."""
        if self.pid:
            self.wait(job)
        prepare()
        assert self._process.stdin
        print(json.dumps([str(job.folder), dict(environment)]), file=self._process.stdin, flush=True)
        self.pid, self._code = int(self._read()), None

    def alive(self, job: JobFolder) -> bool:
        """Whether the process lives; a zombie does not."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
        return False

    def interrupt(self, job: JobFolder, number: int = signal.SIGINT) -> None:
        """Send the process a signal."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, job: JobFolder) -> int:
        """Wait until the process has ended: its exit code, -N if signal N has ended it."""
        if self._code is None:
            self._code = int(self._read())
        return self._code

    def kill(self) -> None:
        """End the process, if it has not ended."""
        if self.pid and self._code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._code = int(self._read())

    def close(self) -> None:
        """End the process that is forked."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process that is forked has ended"
        return line


def _be_a_run(folder: Path, environment: Mapping[str, str]) -> int:
    """Do what a run's own process does, once it is forked."""
    import fcntl

    from ftapp.workers import run as run_worker

    os.environ.clear()
    os.environ.update(environment)
    run = RunFolder(folder)
    lock = os.open(run.lock_file, os.O_WRONLY | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    log = os.open(run.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if clock := os.environ.get(CLOCK):
        _set_clock(Path(clock))
    return run_worker.main(folder)


def _set_clock(file: Path) -> None:
    """Have this process's clock be wrong by the seconds that stand in a file."""
    right = time.time
    time.time = lambda: right() + float(file.read_text("utf-8"))


def main() -> None:
    """Import what a run needs, and fork as told."""
    from ftapp.data import reading
    from ftapp.training import job

    assert reading
    assert job
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        folder, environment = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP_SIGNALS, AT_ONCE))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = _be_a_run(Path(folder), environment)
            finally:
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, AT_ONCE))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
