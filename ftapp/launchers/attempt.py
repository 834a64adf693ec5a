"""One attempt at a run on a machine of a cluster: its lease, its process, and what it is asked.

It runs where an engine has started it, in a process of Slurm or Ray, and starts the run's own process beside it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from ftapp.common.locks import is_locked
from ftapp.launchers.stop import write_end
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.held_lease import LEASE
from ftapp.runs.launcher import start_process
from ftapp.runs.leases import RENEWALS, Lease, LeaseEntry, LeaseState
from ftapp.runs.resuming import INEXACT, has_begun, make_resume_environment
from ftapp.runs.run_folder import RunFolder
from ftapp.tracking.job import wait_for_tracking

_POLL_SECONDS = 0.2
_PATIENT_SECONDS = 300.0  # for trackers, once a run has ended

SUPERSEDED = EXIT_CODES["unfinished"]
"""The exit code of an attempt that found another one in its place."""


class Attempt:
    """An attempt at a run. Whoever makes it calls `start`, then `wait`, then `end` or `wait_again`."""

    def __init__(self, folder: Path, launch: str, environment: Mapping[str, str], job: str) -> None:
        """Prepare an attempt.

        Args:
            folder: The run's folder.
            launch: The start of the run that this is an attempt of (`Lease.launch`).
            environment: Variables that the run's process gets beside this one's own.
            job: The name of the job in the engine.
        """
        self._run, self._launch, self._environment, self._job = RunFolder(folder), launch, environment, job
        self._number, self._lease = 0, Lease(launch=launch, engine="local", state="ended")
        self._process: subprocess.Popen[bytes] | None = None
        self._code: int | None = None
        self._steps = 0
        self._was_stopped = False

    @property
    def count(self) -> int:
        """How often a process was started in this launch."""
        return self._lease.attempt

    def start(self) -> bool:
        """Start the run's process, from its newest checkpoint where it has one.

        A former attempt that may still be alive finds its lease lost within two renewals, which are waited for.

        Returns:
            Whether it was started: not where the launch was cancelled, or another process works on the run.

        Raises:
            OSError: The folder cannot be written, or the process cannot be started.
            RunError: Another process takes the run over in the same instant.
        """
        leases = self._run.leases
        former = leases.find_newest()
        if former is None or former.lease.launch != self._launch:
            self._say("this job does nothing: the run was cancelled, or goes on elsewhere")
            return False
        if former.lease.state == "ended":
            self._say("this job does nothing: the run has ended")
            return False
        if is_locked(self._run.lock_file):
            self._say("this job does nothing: the run goes on in a process of this machine")
            return False
        self._lease = msgspec.structs.replace(
            former.lease,
            state="working",
            host=socket.gethostname(),
            pid=0,
            job=self._job,
            attempt=former.lease.attempt + 1,
        )
        self._number = leases.claim(self._lease, former.number)
        if former.lease.state == "working":
            self._say(f"the run {former.lease.describe()}, and is taken over")
            self._let_end(former)
        self._steps = len(self._run.history().steps)
        environment = {**self._environment, LEASE: str(self._number)}
        if has_begun(self._run):
            environment |= make_resume_environment(self._run, anyway=environment.get(INEXACT) == "1")
        with self._run.log_file.open("ab") as log:
            self._process = start_process(self._run, environment, log)
        threading.Thread(target=self._watch, args=[self._process], name="attempt", daemon=True).start()
        return True

    def has_made_steps(self) -> bool:
        """Return whether the run has come further than all attempts before."""
        return len(self._run.history().steps) > self._steps

    def interrupt(self, number: int) -> None:
        """Send the run's process a signal, if it lives."""
        if self._process and self._code is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def stop(self, number: int) -> None:
        """Send the run's process a signal of its user, who wants no other attempt either."""
        self._was_stopped = True
        self.interrupt(number)

    def was_lost(self, code: int) -> bool:
        """Return whether the process was killed, and not by its user, so that another attempt follows.

        Args:
            code: The exit code of the process.
        """
        return was_killed(code) and not self._was_stopped

    def goes_on(self, code: int) -> bool:
        """Return whether another attempt follows where time is limited: the process was lost, or its time was over.

        Args:
            code: The exit code of the process.
        """
        return self.was_lost(code) or (code == EXIT_CODES["unfinished"] and not self._was_stopped)

    def poll(self) -> int | None:
        """Return the exit code of the run's process: -N if signal N has ended it; None while it lives."""
        return self._code

    def wait(self) -> int:
        """Wait until the run's process has ended.

        A handler of a signal may call it while the main thread waits here.

        Returns:
            The exit code: -N if signal N has ended the process.
        """
        while self._code is None:
            time.sleep(_POLL_SECONDS)
        return self._code

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Follow the process to its end, and hand on the signals that are left for it. Runs in a thread."""
        every, looked = self._lease.seconds / RENEWALS, time.monotonic()
        while (code := process.poll()) is None:
            if number := self._run.leases.take_signal(self._number):
                self.stop(number)
            if time.monotonic() - looked >= every:
                looked = time.monotonic()
                if not self._is_newest():
                    process.kill()  # it ends by itself, unless it hangs
            time.sleep(_POLL_SECONDS)
        self._code = code

    def end(self) -> None:
        """Write down that the launch has come to its end, and wait for trackers."""
        self._write("ended")
        deadline = time.monotonic() + _PATIENT_SECONDS
        wait_for_tracking(self._run, lambda: time.monotonic() < deadline)

    def give_up(self, reason: str) -> None:
        """Write down that the launch tries no longer, and why."""
        write_end(self._run, "failed", reason)
        self.end()

    def wait_again(self) -> None:
        """Write down that the run waits in the queue again."""
        self._write("waiting")

    def _write(self, state: LeaseState) -> None:
        with suppress(OSError):
            if self._number and self._is_newest():
                self._run.leases.replace(self._number, msgspec.structs.replace(self._lease, state=state))

    def _is_newest(self) -> bool:
        try:
            return self._run.leases.is_newest(self._number)
        except OSError:
            return True  # the file server does not answer

    def _let_end(self, former: LeaseEntry) -> None:
        """Wait until a former attempt has found its lease lost, or would have expired."""
        deadline = time.monotonic() + 2 * former.lease.seconds / RENEWALS
        while time.monotonic() < deadline and not self._run.leases.is_expired(former):
            with suppress(OSError):
                self._run.leases.replace(self._number, self._lease)
            time.sleep(_POLL_SECONDS)

    def _say(self, message: str) -> None:
        print(f"ftapp, process {os.getpid()} on {socket.gethostname()}: {message}", file=sys.stderr, flush=True)


def was_killed(code: int) -> bool:
    """Return whether a signal has ended a run's process: out of memory, most likely.

    Args:
        code: The exit code of the process.
    """
    return code < 0 and -code != signal.SIGINT
