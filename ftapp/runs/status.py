"""status.json: the newest events of a run that a list of runs shows, so that nobody has to look for them in its log.

The run's process replaces the file as a whole at each of these events but steps. What is missing in it stands in the
log behind `Snapshot.offset`: the steps since, and an event after which the file could not be replaced.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TypeGuard

import msgspec

from ftapp.common.full_disk import FullDisk
from ftapp.common.safe_files import UNREADABLE, read_bytes
from ftapp.runs import result_warnings
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_reader import EventReader
from ftapp.runs.event_types import Count, Event
from ftapp.runs.events import AnyEvent, Controlled, RunEnded, RunStarted
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated, PhaseStarted, Stepped

_KINDS = (RunStarted, PhaseStarted, Stepped, Evaluated, RunEnded)
_SENT = ("pause", "resume", "stop")  # commands that decide whether a run is paused


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What status.json holds.

    Attributes:
        offset: How many bytes of the log it covers.
        events: The newest event of each kind that a list shows, in the order of time.
        doubtful: Whether the result has warnings; None before there is one.
    """

    offset: Count
    events: list[AnyEvent]
    doubtful: bool | None = None


def load(path: Path) -> Snapshot | None:
    """Return what a status.json holds; None where there is none or it cannot be read.

    Args:
        path: The file.
    """
    try:
        return msgspec.json.decode(read_bytes(path), type=Snapshot)
    except (OSError, *UNREADABLE):
        return None


class StatusLog(EventLog):
    """A log of events that keeps status.json beside it."""

    def __init__(self, path: Path, status_file: Path, disk: FullDisk | None = None, since: float = 0.0) -> None:
        """Open the log.

        Args:
            path: The file of events.
            status_file: The status.json to replace.
            disk: Lets `write` wait while the disk is full.
            since: An earlier time of the run.
        """
        super().__init__(path, disk, since)
        self._status_file = status_file
        self._latest: dict[type[Event], AnyEvent] = {}
        for piece in EventReader(path).pieces():  # of a run that is resumed
            self._latest |= {type(event): event for event in piece if _is_listed(event)}

    def write(self, event: Event) -> None:
        """Append an event, and replace status.json if a list shows it."""
        event = self._put_in_order(event)
        super().write(event)
        if _is_listed(event):
            self._latest[type(event)] = event
            if not isinstance(event, Stepped):
                self._replace()

    def _replace(self) -> None:
        """Replace the file, if that is possible: the log has all of it.

        It is not flushed to the disk: after a power cut a list reads the log.
        """
        ended = self._latest.get(RunEnded)
        snapshot = Snapshot(
            offset=self.offset,
            events=sorted(self._latest.values(), key=lambda each: each.time),
            doubtful=None if ended is None else result_warnings.is_doubtful(History.of_file(self._path)),
        )
        scratch = self._status_file.with_name(f".{self._status_file.name}.tmp")
        try:
            scratch.write_bytes(msgspec.json.encode(snapshot))
            scratch.replace(self._status_file)
        except OSError:
            with suppress(OSError):
                scratch.unlink()


def _is_listed(event: Event) -> TypeGuard[AnyEvent]:
    """Whether a list shows this event; of the answers to commands those that say whether the run is paused."""
    if isinstance(event, Controlled):
        return event.applied and event.command in _SENT
    return isinstance(event, _KINDS)
