"""The lease that a run's own process holds: renewed while it lives, and the end of the process once it is lost."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import msgspec

from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.leases import RENEWALS, LeaseEntry
from ftapp.runs.run_folder import RunFolder

LEASE = "FTAPP_LEASE"
"""The variable that tells a run's process the number of its lease."""
TIED = "FTAPP_TIED_TO"
"""The variable that tells a run's process the number of the process without which its results reach nobody."""


def end_process(message: str) -> NoReturn:
    """End this process at once: another one works on the run, so this one writes nothing more to it."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)
    os._exit(EXIT_CODES["unfinished"])


def read_clock() -> float:
    """Read a clock that goes on while the process, or the machine, stands still, in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class HeldLease:
    """The lease of this process. A thread renews it.

    A process that stood still, by a signal, a machine that slept or a disk that did not answer, may have lost its
    lease meanwhile. So it looks before it writes, unless it has looked just before.
    """

    def __init__(
        self,
        run: RunFolder,
        number: int,
        *,
        clock: Callable[[], float] = read_clock,
        end: Callable[[str], object] = end_process,
    ) -> None:
        """Hold a lease.

        Args:
            run: The run.
            number: The number of the lease.
            clock: Gives the time in seconds, and goes on while the process stands still.
            end: Ends the process, with the reason.
        """
        self._leases, self._number, self._clock, self._end = run.leases, number, clock, end
        self._tied = int(os.environ.get(TIED, 0))
        entry = self._leases.find_newest()
        if entry is None or entry.number != number:
            end(self._explain(entry))
            return
        self._lease = msgspec.structs.replace(entry.lease, state="working", host=socket.gethostname(), pid=os.getpid())
        self._every, self._looked = entry.lease.seconds / RENEWALS, -float("inf")
        self.renew()

    def keep(self) -> None:
        """Renew the lease from now on, in a thread that ends with the process."""
        threading.Thread(target=self._keep, name="lease", daemon=True).start()

    def renew(self) -> None:
        """Renew the lease once. A disk that takes nothing is tried again later."""
        with suppress(OSError):
            self._leases.replace(self._number, self._lease)
            self._look()

    def confirm(self) -> None:
        """End the process if the lease is lost. Costs a look at a folder if none was taken for two renewals."""
        if self._clock() - self._looked >= 2 * self._every:
            self.renew()

    def _keep(self) -> None:
        while True:
            time.sleep(self._every)
            self.renew()

    def _look(self) -> None:
        if not self._leases.is_newest(self._number):
            self._end(self._explain(self._leases.find_newest()))
        if self._tied and os.getppid() != self._tied:
            self._end("this process ends: the process that sends its results has ended")
        self._looked = self._clock()

    def _explain(self, entry: LeaseEntry | None) -> str:
        taken = f"it {entry.lease.describe()}" if entry else "its leases are gone"
        return f"this process ends: the run was taken over ({taken})"


def hold_lease(run: RunFolder) -> HeldLease | None:
    """Hold the lease with which this process was started; None for a run that was started on this machine.

    Args:
        run: The run.
    """
    number = os.environ.get(LEASE)
    if not number:
        return None
    held = HeldLease(run, int(number))
    held.keep()
    return held
