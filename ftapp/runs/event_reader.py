"""Reading a run's events from their file, which may grow meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from ftapp.common.safe_files import UNREADABLE, read_last_text
from ftapp.common.tail_reader import PIECE, Tail
from ftapp.runs import older_events
from ftapp.runs.compact_steps import decoder_for
from ftapp.runs.events import AnyEvent
from ftapp.runs.phase_events import Stepped

_decoder = msgspec.json.Decoder(AnyEvent)


def decode(line: bytes) -> AnyEvent | None:
    """Decode a line, of any version; None for a damaged one, or one of an event that is not known."""
    try:
        return older_events.decode(line)
    except UNREADABLE:
        return None


class EventReader:
    """Reads a file of events as it grows, in bounded pieces; damaged lines are skipped."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)
        self._undecoded = 0
        self._metrics: tuple[str, ...] | None = None  # names of those that the step read last had

    @property
    def damaged(self) -> int:
        """How many lines were skipped, of the file that is there."""
        return self._undecoded + self._tail.passed_over

    @property
    def caught_up(self) -> bool:
        """Whether the last call reached the end of the file."""
        return self._tail.caught_up

    @property
    def restarts(self) -> int:
        """How often another file, or a shorter one, was found in its place and read from its beginning.

        What was read before is then void (`ftapp.runs.history.Follower` sees to it).
        """
        return self._tail.restarts

    @property
    def position(self) -> int:
        """Where the next line begins, in bytes."""
        return self._tail.position

    @property
    def inode(self) -> int:
        """The file's; 0 before it is read."""
        return self._tail.inode

    def skip(self, position: int, damaged: int = 0) -> None:
        """Go on at a byte at which a line begins. damaged: lines that another reader has skipped before it."""
        self._tail.position = position
        self._undecoded += damaged

    def read(self, limit: int = PIECE, *, compact: bool = False) -> list[AnyEvent]:
        """Read the next events.

        Args:
            limit: bytes that are read at most, but for a line that is longer.
            compact: whether steps are for `Steps.extend` alone, which takes them in a form that is decoded faster
                (`ftapp.runs.compact_steps`).

        Returns:
            The events, in order; it may be empty although there are more.
        """
        restarts = self.restarts
        lines = self._tail.read(limit)
        if self.restarts != restarts:
            self._undecoded = 0
        if compact and self._metrics is not None:
            with suppress(*UNREADABLE):
                return decoder_for(self._metrics).decode_lines(lines)
        events = self._decode(lines)
        if compact:
            last = next((event for event in reversed(events) if isinstance(event, Stepped)), None)
            self._metrics = tuple(last.metrics) if last else self._metrics
        return events

    def _decode(self, lines: memoryview) -> list[AnyEvent]:
        """The events of some lines, in the form of today or of an earlier version, without those that are damaged."""
        for decode_lines in (_decoder.decode_lines, older_events.decode_lines):
            with suppress(*UNREADABLE):
                return decode_lines(lines)
        found = [decode(line) for line in bytes(lines).split(b"\n") if line.strip()]
        events = [event for event in found if event is not None]
        self._undecoded += len(found) - len(events)
        return events

    def pieces(self, limit: int = PIECE, *, compact: bool = False) -> Iterator[list[AnyEvent]]:
        """All that has come since the last call, piece by piece."""
        while True:
            yield self.read(limit, compact=compact)
            if self.caught_up:
                return


def read_last_time(path: Path) -> float:
    """The time of the last whole event in a file, in seconds since the Unix epoch; 0 where there is none."""
    try:
        lines = read_last_text(path).encode().split(b"\n")[:-1]
    except OSError:
        return 0.0
    return next((event.time for event in map(decode, reversed(lines)) if event), 0.0)


def read(path: Path) -> list[AnyEvent]:
    """All events of a file. `History.of_file` takes a fraction of the time and memory for a long one."""
    return [event for piece in EventReader(path).pieces() for event in piece]
