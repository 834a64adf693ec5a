"""What a command does with the signals that it gets while runs of its own go on: it hands them on."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from ftapp.common.full_disk import is_full
from ftapp.runs.environment import MAX_SECONDS
from ftapp.runs.event_types import Status
from ftapp.runs.launcher import AT_ONCE, STOP_SIGNALS, JobFolder, Launcher, name_end

_AGAIN_SECONDS = 1.0


class Interruption:
    """A context in which a stop signal asks all runs to end after their step, and leaves the command to wait for them.

    Ctrl-C (SIGINT) that comes again, once the first was answered and after a second or more without any signal, is a
    person who does not want to wait: the runs end at once. A signal that comes twice in an instant, or another one
    however often, asks for no more than the first, which decides the runs' status.

    Where the command has a limit of time, no further run starts after it. Those that go on end themselves
    (`environment`).
    """

    def __init__(self, launcher: Launcher, max_seconds: float | None = None) -> None:
        """Prepare the context.

        Args:
            launcher: The one that has started the runs.
            max_seconds: After how many seconds from now the runs end; None where they go on to their ends.
        """
        self._ends_at = math.inf if max_seconds is None else time.monotonic() + max_seconds
        self._has_told_end = False
        self._first: int | None = None  # the signal that is handed on
        self._launcher = launcher
        self._jobs: list[JobFolder] = []
        self._messages: list[str] = []
        self._last, self._typed = 0.0, False

    @property
    def requested(self) -> bool:
        """Whether a signal has come, or the time is over."""
        return self._first is not None or time.monotonic() >= self._ends_at

    @property
    def status(self) -> Status | None:
        """The status of the runs that the first signal or the end of the time ends; None while none has come."""
        if self._first is not None:
            return name_end(self._first)
        return "unfinished" if self.requested else None

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a run that starts now, which ends itself when the time is over: after one step at least."""
        left = self._ends_at - time.monotonic()
        return {} if left == math.inf else {MAX_SECONDS: f"{max(0.0, left):.3f}"}

    def __enter__(self) -> Self:
        self._former = {number: signal.signal(number, self._handle_signal) for number in STOP_SIGNALS}
        # A process may be started with them blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, AT_ONCE))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            # Once it was asked to end, the command tells its result and ends, however often it is asked.
            signal.signal(number, signal.SIG_IGN if self.requested else handler)

    def add(self, job: JobFolder) -> None:
        """Hand signals on to this job too, from now on; one that came while it was started, now."""
        self._jobs.append(job)
        if self._first is not None:
            self._launcher.interrupt(job, self._first)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Ask all runs to end, as a signal does.

        Args:
            number: One of STOP_SIGNALS, which runs get unless they were asked to end by another before.
        """
        if self._first is None:
            self._first = number
        for job in self._jobs:
            self._launcher.interrupt(job, self._first)

    def take_messages(self) -> list[str]:
        """Return what is to be said of signals that have come since the last call. A handler must not print."""
        messages, self._messages = self._messages, []
        if time.monotonic() >= self._ends_at and not self._has_told_end:
            self._has_told_end = True
            messages.append("the time that --max-time gives is over: runs end after their step, and no other starts")
        return messages

    @contextmanager
    def excuse_full_disk(self, what: str) -> Iterator[None]:
        """Do without what is written last where the disk is full: a command that was asked to end does not wait.

        Args:
            what: What is written, in words.
        """
        try:
            yield
        except OSError as error:
            if not (self.requested and is_full(error)):
                raise
            print(f"the disk is full, so {what} is not written", file=sys.stderr)

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        before, self._last = self._last, time.monotonic()
        if self._first is None:
            self._messages.append(
                "ending after this step and saving; Ctrl-C again, after a second, ends at once without saving"
            )
        # Signals that come in an instant may be handled seconds apart, where the machine stands still in between.
        elif number == signal.SIGINT and self._typed and not self._messages and self._last - before >= _AGAIN_SECONDS:
            self._messages.append("ending at once")
            for job in self._jobs:
                self._launcher.interrupt(job, AT_ONCE)
            return
        self._typed = self._typed or number == signal.SIGINT
        self.stop(number)
