"""A column of numbers that grows: in memory while it is short, and in a file without a name from then on."""

from __future__ import annotations

import mmap
import sys
from array import array
from typing import IO, Any, TypeAlias, cast

from ftapp.common.errors import RunError
from ftapp.common.unnamed_files import open_unnamed, reserve

IN_MEMORY = 2**20
"""Numbers up to which a column is in memory: 8 MiB."""
_SIZE = 8  # bytes of a number

Values: TypeAlias = "array[Any] | memoryview[Any]"
"""The numbers of a column so far. NumPy's `asarray` does not copy them."""


class StepColumn:
    """A column of numbers of eight bytes. What `view` gave stays as it is when numbers come.

    A long column takes memory while it is looked at, and only if the system has memory to spare. Where the disk has no
    room for it, it stays in memory.
    """

    def __init__(self, code: str) -> None:
        """Make an empty column.

        Args:
            code: The type of its numbers, as `array` has it.
        """
        self._code = code
        self._values = array(code)  # all numbers, or none where they are in the file
        self._file: IO[bytes] | None = None
        self._map: mmap.mmap | None = None
        self._length, self._room = 0, IN_MEMORY  # numbers

    def __len__(self) -> int:
        return self._length

    def view(self) -> Values:
        """Return the numbers so far."""
        values, file = self._values, self._file  # in this order: another thread may be moving the numbers
        if file is None:
            return values
        mapped = mmap.mmap(file.fileno(), self._length * _SIZE, access=mmap.ACCESS_READ)
        return memoryview(mapped).cast(cast(Any, self._code))

    def extend(self, values: bytes) -> None:
        """Add numbers, as the bytes of an array."""
        length = self._length + len(values) // _SIZE
        if length > self._room:
            self._make_room(length)
        if self._map is not None:
            self._map[self._length * _SIZE : length * _SIZE] = values
        else:
            try:
                self._values.frombytes(values)
            except BufferError:  # it is looked at
                self._values = array(self._code, self._values.tobytes() + values)
        self._length = length

    def _make_room(self, length: int) -> None:
        """Let the file hold so many numbers. Where the disk has no room, all numbers are in memory from now on."""
        room = -(-length // IN_MEMORY) * IN_MEMORY
        try:
            file = self._file or open_unnamed()
            reserve(file, room * _SIZE)
            mapped = mmap.mmap(file.fileno(), room * _SIZE)  # anew, so that pages of the former one are given back
        except (OSError, RunError):
            self._values = array(self._code, self.view().tobytes())
            self._file = self._map = None
            self._room = sys.maxsize
            return
        if self._file is None:
            mapped[: self._length * _SIZE] = self._values.tobytes()
        self._map, self._file, self._room = mapped, file, room
        self._values = array(self._code)
