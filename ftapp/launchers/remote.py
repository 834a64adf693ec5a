"""The launcher of runs on clusters: what it knows of a run stands in the run's folder, whatever engine starts it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from ftapp.common.errors import RunError
from ftapp.common.locks import is_locked
from ftapp.launchers.stop import stop_run, write_end
from ftapp.launchers.target import LaunchTarget
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.launcher import JobFolder, do_nothing
from ftapp.runs.leases import Lease, make_launch, read_seconds
from ftapp.runs.run_folder import RunFolder

_POLL_SECONDS = 0.2


class ClusterEngine(Protocol):
    """What starts processes on other machines."""

    def submit(self, folder: Path, launch: str, environment: Mapping[str, str]) -> str:
        """Have an attempt at a run (`ftapp.launchers.attempt`) started as soon as there is a machine.

        Args:
            folder: The run's folder.
            launch: The word that all attempts of this start have.
            environment: Variables that the run's process gets.

        Returns:
            The name of the job.

        Raises:
            RunError: The engine has refused the job, or does not answer.
        """


class RemoteLauncher:
    """Starts runs on other machines. They see the run's folder at the same path, or the engine copies its files."""

    def __init__(self, target: LaunchTarget, engine: ClusterEngine) -> None:
        """Prepare the launcher.

        Args:
            target: Where runs are sent.
            engine: What starts their processes there.
        """
        assert target.kind != "local"
        self._target, self._kind, self._engine = target, target.kind, engine

    def start(self, job: JobFolder, environment: Mapping[str, str], prepare: Callable[[], None] = do_nothing) -> None:
        """Send a run to its target. It counts as alive from here on, while it waits for a machine too.

        Raises:
            OSError: Its folder cannot be written.
            RunError: A process works on the run already, or the engine has refused it.
            KeyboardInterrupt: Ctrl-C has come, and the run was not sent.
        """
        run = RunFolder(job.folder)
        if is_locked(run.lock_file):
            raise RunError(f"{run.folder.name} goes on already, in another process; it takes one alone")
        prepare()
        lease = Lease(
            launch=make_launch(),
            engine=self._kind,
            target=self._target.text,
            state="waiting",
            host=socket.gethostname(),
            seconds=read_seconds(),
        )
        number = run.leases.take_over(lease)
        try:
            name = self._engine.submit(run.folder, lease.launch, environment)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                write_end(run, "interrupted", f"interrupted before it was sent to {self._target.text}")
            else:
                write_end(run, "failed", f"it was not sent to {self._target.text}: {error}")
            run.leases.replace(number, msgspec.structs.replace(lease, state="ended"))
            raise
        run.leases.replace(number, msgspec.structs.replace(lease, job=name))

    def alive(self, job: JobFolder) -> bool:
        """Return whether a run waits for a machine or works on one."""
        return RunFolder(job.folder).alive()

    def interrupt(self, job: JobFolder, number: int = signal.SIGINT) -> None:
        """Ask a run to end; one that waits for a machine is cancelled."""
        stop_run(RunFolder(job.folder), number)

    def wait(self, job: JobFolder) -> int:
        """Wait until a run has ended, and return the exit code of its status."""
        run = RunFolder(job.folder)
        while run.alive():
            time.sleep(_POLL_SECONDS)
        return EXIT_CODES[run.status()]
