"""Launchers start the processes of runs and experiments, and reach them while they live.

A launcher is what differs between this machine and another place where runs may go, such as a batch system. Everything
else reads a run's folder.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from ftapp.common.errors import RunError
from ftapp.common.locks import lock_alone
from ftapp.common.processes import make_child_environment, make_module_command
from ftapp.runs.event_types import Status

# By all of these people, batch systems and process managers ask a run to end: once or often makes no difference.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
# By this one a command tells its runs that its user does not want to wait for the model either.
AT_ONCE = signal.SIGQUIT


def name_end(number: int) -> Status:
    """Return the status of a run that a signal has ended: people send SIGINT and AT_ONCE, batch systems the others.

    Args:
        number: One of STOP_SIGNALS, or AT_ONCE.
    """
    return "interrupted" if number in (signal.SIGINT, AT_ONCE) else "unfinished"


class JobFolder(Protocol):
    """A folder with a process of its own: a run or an experiment."""

    @property
    def folder(self) -> Path:
        """The folder, which is the process's argument."""

    @property
    def worker(self) -> str:
        """The module that is the process's main."""

    @property
    def lock_file(self) -> Path:
        """The file that is locked while the process lives."""

    @property
    def log_file(self) -> Path:
        """The file that takes the process's stdout and stderr."""


def do_nothing() -> None:
    """Leave the files of a job as they are."""


class Launcher(Protocol):
    """Starts jobs, and reaches those that it has started."""

    def start(self, job: JobFolder, environment: Mapping[str, str], prepare: Callable[[], None] = do_nothing) -> None:
        """Start a job's process, which outlives this one.

        Args:
            job: A run or an experiment whose folder is complete.
            environment: Variables that the process gets beside this one's own.
            prepare: Changes the job's files; it is called only if no process works on the job.

        Raises:
            OSError: The process cannot be started, or `prepare` cannot write.
            RunError: A process works on the job already.
        """

    def alive(self, job: JobFolder) -> bool:
        """Return whether a job's process lives."""

    def interrupt(self, job: JobFolder, number: int = signal.SIGINT) -> None:
        """Ask a job to end. Nothing happens when it has ended.

        Args:
            job: One that this launcher has started.
            number: One of STOP_SIGNALS: it ends after its current step and saves; or AT_ONCE: without saving.
        """

    def wait(self, job: JobFolder) -> int:
        """Wait until a job's process has ended, and return its exit code."""


def start_process(
    job: JobFolder, environment: Mapping[str, str], log: IO[bytes], kept: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start the process of a job on this machine, in a session of its own.

    Args:
        job: The job.
        environment: Variables that the process gets beside this one's own.
        log: Takes its stdout and stderr.
        kept: Descriptors of open files that it inherits.

    Raises:
        OSError: The process cannot be started.
    """
    with hold_signals():  # the child lifts the mask when it can answer signals
        return subprocess.Popen(
            make_module_command(job.worker, str(job.folder)),
            env=make_child_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=kept,
        )


@contextmanager
def hold_signals() -> Iterator[None]:
    """Hold back the signals that ask for an end while the context lasts, also from processes that are started in it."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP_SIGNALS, AT_ONCE))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class LocalLauncher:
    """Starts jobs as processes on this machine, each in a session of its own."""

    def __init__(self) -> None:
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}

    def start(self, job: JobFolder, environment: Mapping[str, str], prepare: Callable[[], None] = do_nothing) -> None:
        """Start a job's process. It inherits the lock, so it counts as alive from the moment it is started."""
        with job.lock_file.open("wb") as lock, job.log_file.open("ab") as log:
            try:
                lock_alone(lock)
            except BlockingIOError as error:
                raise RunError(f"{job.folder.name} goes on already, in another process; it takes one alone") from error
            prepare()
            self._processes[job.folder] = start_process(job, environment, log, [lock.fileno()])

    def alive(self, job: JobFolder) -> bool:
        """Return whether a job's process lives, and collect its end if it does not."""
        return self._processes[job.folder].poll() is None

    def interrupt(self, job: JobFolder, number: int = signal.SIGINT) -> None:
        """Send a job's process the signal."""
        with suppress(ProcessLookupError):
            self._processes[job.folder].send_signal(number)

    def wait(self, job: JobFolder) -> int:
        """Wait until a job's process has ended, and return its exit code: -N if signal N has ended it."""
        return self._processes[job.folder].wait()
