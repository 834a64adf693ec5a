"""Writing a run's events, each a line of JSON that is in the file at once."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from time import monotonic, time
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from ftapp.common.full_disk import FullDisk
from ftapp.common.safe_files import encode_line, ends_in_line
from ftapp.runs.event_reader import read_last_time
from ftapp.runs.event_types import Event
from ftapp.runs.events import Noted, Progressed, Waited


class EventLog:
    """Appends events to a file, each a whole line that is in the file when `write` returns.

    Times never go back in a log: where the machine's clock was set back, events get the time of the one before and an
    instant. A line that a killed process has left half-written is closed.

    disk: lets `write` wait while the disk is full, without it that is an OSError; since: an earlier time of the run.
    """

    def __init__(self, path: Path, disk: FullDisk | None = None, since: float = 0.0) -> None:
        self._line = memoryview(b"" if ends_in_line(path) else b"\n")  # what is still to be written
        former = max(since, read_last_time(path))
        self._time = math.nextafter(former, math.inf) if former else 0.0
        self._path = path
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._folder, self._disk, self._waited = path.parent, disk, 0.0

    @property
    def offset(self) -> int:
        """The length of the file, in bytes, with all events written so far."""
        return self._file.tell()

    def is_lost(self) -> bool:
        """Return whether the file was deleted, so that nobody can read what is written into it."""
        own = os.fstat(self._file.fileno())
        if own.st_nlink:
            return False
        try:  # a file system may count no links
            return not os.path.samestat(own, self._path.stat())
        except OSError:
            return True

    def write(self, event: Event) -> None:
        """Append an event. Raises OSError where the file takes none, unless a full disk is waited for."""
        event = self._put_in_order(event)
        self._time = event.time
        # What an interruption has left of the line before goes first.
        self._line = memoryview(bytes(self._line) + encode_line(event))
        if self._disk is None:
            self._append()
            return
        self._disk.write(self._append, self._folder)
        if (waited := self._disk.seconds - self._waited) > 0:
            self._waited = self._disk.seconds
            self.write(Waited(time=time(), seconds=waited))

    def _put_in_order(self, event: Event) -> Event:
        """Give an event a time that is not before those of the events in the log."""
        if event.time >= self._time:
            return event
        return msgspec.structs.replace(event, time=math.nextafter(self._time, math.inf))

    def _append(self) -> None:
        while self._line:  # a nearly full disk takes part of a line
            self._line = self._line[self._file.write(self._line) :]


class ProgressLog:
    """Tells an event log of downloads and preparations, not more often than eyes can follow."""

    _SECONDS = 0.2

    def __init__(self, log: EventLog) -> None:
        self._log, self._label, self._reported = log, "", 0.0

    def __call__(self, activity: str, done: int, total: int | None) -> None:
        """activity: what is being done, in words; done and total: in any unit, total None when unknown."""
        now = monotonic()
        if activity != self._label or now - self._reported >= self._SECONDS or done == total:
            self._label, self._reported = activity, now
            self._log.write(Progressed(time=time(), activity=activity, done=done, total=total))


class NoteHandler(logging.Handler):
    """Writes what ftapp's modules log, of warnings and above, as notes into an event log while the context lasts."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.WARNING)
        self._log, self._logger = log, logging.getLogger("ftapp")

    def __enter__(self) -> Self:
        self._logger.addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record of the log as a note."""
        self._log.write(Noted(time=record.created, message=record.getMessage()))
