"""Files to which others append whole lines, read as they grow."""

from __future__ import annotations

import os
from pathlib import Path

from ftapp.common.safe_files import LARGEST, open_file

PIECE = 2**18  # bytes: about 1,300 steps of a run, which stay in a processor's cache and take some 2 ms to fold


class Tail:
    """Reads the whole lines of a growing file in bounded pieces.

    A line without its end waits for the next call, and a file that cannot be read has nothing new. A line longer than
    `ftapp.common.safe_files.LARGEST` is passed over. restarts: how often the file was found to be another one, or
    shorter than before; it is then read from its beginning, and what was read before is void. caught_up: whether the
    last call reached the end of the file. position: where the next line begins, in bytes; inode and size: the file's
    when it was last read, 0 before; passed_over: how many lines were too long.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.position, self.inode, self.size = 0, 0, 0
        self.restarts = self.passed_over = 0
        self.caught_up = False
        self._passing = False  # over the rest of a line that is too long

    def read(self, limit: int = PIECE) -> memoryview:
        """The next whole lines, of at most `limit` bytes, or one if that is longer; empty when there is none yet.

        They are a view of what was read: a copy would take a tenth of the time in which events are decoded.
        """
        self.caught_up = True
        try:
            with open_file(self._path) as file:
                found = os.fstat(file.fileno())
                if self.inode and (found.st_ino != self.inode or found.st_size < self.position):
                    self.restarts += 1
                    self.position, self.passed_over, self._passing = 0, 0, False
                self.inode, self.size = found.st_ino, found.st_size
                file.seek(self.position)
                parts = [file.read(limit)]
                while not self._passing and parts[-1] and b"\n" not in parts[-1] and len(parts) * limit < LARGEST:
                    parts.append(file.read(limit))
        except OSError:
            return memoryview(b"")
        data = b"".join(parts)
        self.caught_up = self.position + len(data) >= found.st_size
        end = data.rfind(b"\n") + 1
        begin = data.find(b"\n") + 1 if self._passing else 0
        if not end and (self._passing or len(data) >= LARGEST):
            self.passed_over += not self._passing
            self._passing, end = True, len(data)
            begin = end
        elif end:
            self._passing = False
        self.position += end
        return memoryview(data)[begin:end]
