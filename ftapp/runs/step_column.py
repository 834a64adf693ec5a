"""A column of numbers that grows: in memory while it is short, and in a file without a name from then on."""

from __future__ import annotations

import mmap
import sys
from array import array
from typing import IO, Any, NamedTuple, TypeAlias, cast

from ftapp.common.errors import RunError
from ftapp.common.unnamed_files import open_unnamed, reserve

IN_MEMORY = 2**20
"""Numbers up to which a column is in memory: 8 MiB."""
_SIZE = 8  # bytes of a number

Values: TypeAlias = "array[Any] | memoryview[Any]"
"""The numbers of a column so far. NumPy's `asarray` does not copy them."""


class _InFile(NamedTuple):
    """A file that has numbers, and room for more."""

    file: IO[bytes]
    whole: mmap.mmap


class StepColumn:
    """A column of numbers of eight bytes. Numbers that `view` gave stay as they are; more may come behind them.

    A long column takes memory while it is looked at, and only if the system has memory to spare. Where the disk has no
    room for it, it stays in memory.
    """

    def __init__(self, code: str) -> None:
        """Make an empty column.

        Args:
            code: The type of its numbers, as `array` has it.
        """
        self._code = code
        self._numbers: array[Any] | _InFile = array(code)  # one attribute: another thread may look while they are moved
        self._length, self._room = 0, IN_MEMORY  # numbers

    def __len__(self) -> int:
        return self._length

    def view(self) -> Values:
        """Return the numbers so far."""
        numbers = self._numbers
        if isinstance(numbers, array):
            return numbers
        mapped = mmap.mmap(numbers.file.fileno(), self._length * _SIZE, access=mmap.ACCESS_READ)
        return memoryview(mapped).cast(cast(Any, self._code))

    def extend(self, values: bytes) -> None:
        """Add numbers, as the bytes of an array."""
        length = self._length + len(values) // _SIZE
        if length > self._room:
            self._make_room(length)
        numbers = self._numbers
        if isinstance(numbers, array):
            try:
                numbers.frombytes(values)
            except BufferError:  # it is looked at
                self._numbers = array(self._code, numbers.tobytes() + values)
        else:
            numbers.whole[self._length * _SIZE : length * _SIZE] = values
        self._length = length

    def _make_room(self, length: int) -> None:
        """Let the file hold so many numbers. Where the disk has no room, all numbers are in memory from now on."""
        numbers, size = self._numbers, self._length * _SIZE
        room = -(-length // IN_MEMORY) * IN_MEMORY
        try:
            file = open_unnamed() if isinstance(numbers, array) else numbers.file
            reserve(file, room * _SIZE)
            whole = mmap.mmap(file.fileno(), room * _SIZE)  # anew, so that pages of the former one are given back
        except (OSError, RunError):
            if not isinstance(numbers, array):
                self._numbers = array(self._code, numbers.whole[:size])
            self._room = sys.maxsize
            return
        if isinstance(numbers, array):
            whole[:size] = numbers.tobytes()
        self._numbers, self._room = _InFile(file, whole), room
