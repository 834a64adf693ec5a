"""The far part of a long file of events, folded by a process of its own while this one reads what comes before."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ftapp.common.processes import child_environment, python_module
from ftapp.common.tail_reader import PIECE
from ftapp.runs.event_reader import EventReader
from ftapp.runs.history import Follower, History

_LONG = 2**25  # bytes: some 175,000 steps, for which a process just pays
_NEAR = 0.45  # of a file is read here: what follows a run has a screen to lay out meanwhile


class SharedFollower(Follower):
    """A follower that shares the first reading of a long file with another process. The history is the same."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._helper = _help(path)

    def advance(self, limit: int = PIECE) -> bool:
        helper = self._helper
        if helper is None:
            return super().advance(limit)
        room = helper.begin - self._reader.position
        if room > 0:
            more = super().advance(min(limit, room))
            if self._reader.restarts:
                self.close()
            return more
        self._helper = None
        read = helper.result()
        if read and read[0] == self._reader.inode:
            _, end, history = read
            self.history.extend(history)
            self._reader.skip(end, history.damaged)
        return True

    def close(self) -> None:
        """End the other process, if there is one still."""
        helper, self._helper = self._helper, None
        if helper:
            helper.end()


class _Helper:
    """The process that reads a file from a byte on, at which a line begins."""

    def __init__(self, path: Path, begin: int) -> None:
        self.begin = begin
        self._process = subprocess.Popen(
            python_module("ftapp.runs.parallel_reader", str(path), str(begin)),
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pipesize=2**20,  # bytes, where the system can: it is some 40 MB that come
            start_new_session=True,  # Ctrl-C in a terminal is for the interface alone
        )

    def result(self) -> tuple[int, int, History] | None:
        """The file's inode, where its reading has ended and what it tells, once all is read; None if that failed."""
        with self._process as process, suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            assert process.stdout
            read: tuple[int, int, History] = pickle.load(process.stdout)
            return read
        return None

    def end(self) -> None:
        """Have it end now."""
        with self._process as process:
            process.kill()


def _help(path: Path) -> _Helper | None:
    """A process for the far part of a file, if that is long and there is a processor for it."""
    with suppress(OSError):
        size = path.stat().st_size
        if size > _LONG and (os.cpu_count() or 1) > 1:
            with path.open("rb") as file:
                file.seek(int(_NEAR * size))
                file.readline()
                return _Helper(path, file.tell())
    return None


def main() -> None:
    """Read a file from a byte on, and write what `_Helper.result` takes."""
    reader, history = EventReader(Path(sys.argv[1])), History()
    reader.skip(int(sys.argv[2]))
    for events in reader.pieces(compact=True):
        history.apply_all(events)
    history.damaged = reader.damaged
    if not reader.restarts:
        pickle.dump((reader.inode, reader.position, history), sys.stdout.buffer, protocol=5)


if __name__ == "__main__":
    main()
