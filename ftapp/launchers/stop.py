"""The end of runs that someone stops, wherever they are: also while they wait for a machine."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress

import msgspec

from ftapp.common.errors import RunError
from ftapp.runs import commands
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_types import Status
from ftapp.runs.events import RunEnded
from ftapp.runs.launcher import name_end
from ftapp.runs.leases import Lease, LeaseEntry
from ftapp.runs.run_folder import RunFolder

_LONGEST_SECONDS = 10.0  # that Slurm's answer is waited for


def stop_run(run: RunFolder, number: int = signal.SIGINT) -> None:
    """Ask a run on another machine to end, by a signal that is left in its folder. Nothing happens when it has ended.

    A run that waits for a machine is cancelled: its job, if it starts all the same, does nothing.

    Args:
        run: The run.
        number: One of `launcher.STOP_SIGNALS` or `launcher.AT_ONCE`.
    """
    entry = run.find_lease()
    if entry and entry.lease.state == "waiting" and cancel(run, entry, name_end(number)):
        return
    if entry := run.find_lease():
        with suppress(OSError):  # its folder was removed
            run.leases.send_signal(entry.number, number)


def send(run: RunFolder, command: commands.AnyCommand) -> bool:
    """Send a command to a run, and return whether it will answer: Stop cancels a run that waits for a machine.

    Raises:
        RunError: The run takes no commands now, or its folder cannot be written.
    """
    entry = run.find_lease() if isinstance(command, commands.Stop) else None
    if entry and entry.lease.state == "waiting" and cancel(run, entry, "interrupted"):
        return False
    commands.send(run, command)
    return True


def cancel(run: RunFolder, entry: LeaseEntry, status: Status) -> bool:
    """End a run that waits for a machine.

    Args:
        run: The run.
        entry: Its lease.
        status: The status with which it ends.

    Returns:
        Whether it was cancelled: not where it has a machine since.
    """
    # Whoever waits for the run reads its status once nobody holds it, so its end is written before.
    lease = Lease(launch=entry.lease.launch + "-cancelled", engine="local", state="working", host=socket.gethostname())
    try:
        number = run.leases.claim(lease, entry.number)
    except RunError:
        return False
    write_end(run, status, "cancelled while it waited for a machine")
    run.leases.replace(number, msgspec.structs.replace(lease, state="ended"))
    if entry.lease.engine == "slurm" and entry.lease.job and shutil.which("scancel"):
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(["scancel", entry.lease.job], capture_output=True, timeout=_LONGEST_SECONDS, check=False)
    return True


def write_end(run: RunFolder, status: Status, error: str) -> None:
    """Write the end of a run that has no process, unless its log has an end already other than "unfinished".

    Args:
        run: The run.
        status: How it ends.
        error: Why, in words.
    """
    history = run.history()
    former = history.ended
    if former is None or former.status == "unfinished":
        seconds = former.seconds if former else 0.0
        ended = RunEnded(time=time.time(), status=status, steps=len(history.steps), seconds=seconds, error=error)
        with suppress(OSError):
            EventLog(run.events_file).write(ended)
