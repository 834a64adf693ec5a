"""Files to which others append whole lines, read as they grow."""

from __future__ import annotations

import os
from pathlib import Path

PIECE = 2**18  # bytes: about 1,300 steps of a run, which stay in a processor's cache and take some 2 ms to fold


class Tail:
    """Reads the whole lines of a growing file in bounded pieces.

    A line without its end waits for the next call, and a file that cannot be read has nothing new. restarts: how often
    the file was found to be another one, or shorter than before; it is then read from its beginning, and what was read
    before is void. caught_up: whether the last call reached the end of the file. position: where the next line begins,
    in bytes; inode: the file's, 0 before it is read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.position, self.inode = 0, 0
        self.restarts = 0
        self.caught_up = False

    def read(self, limit: int = PIECE) -> bytes:
        """The next whole lines, of at most `limit` bytes, or one if that is longer; empty when there is none yet."""
        self.caught_up = True
        try:
            with self._path.open("rb", buffering=0) as file:
                found = os.fstat(file.fileno())
                if self.inode and (found.st_ino != self.inode or found.st_size < self.position):
                    self.restarts += 1
                    self.position = 0
                self.inode = found.st_ino
                file.seek(self.position)
                data = part = file.read(limit)
                while part and b"\n" not in part:
                    part = file.read(limit)
                    data += part
        except OSError:
            return b""
        self.caught_up = self.position + len(data) >= found.st_size
        lines = data[: data.rfind(b"\n") + 1]
        self.position += len(lines)
        return lines
