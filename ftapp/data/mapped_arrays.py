"""Arrays of encoded examples that may be larger than memory: small ones in memory, others in files without a name.

Where the disk has no room for such a file, the array is in memory, and a sentence in the run's log says so.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import RunError
from ftapp.common.formatting import format_size
from ftapp.common.unnamed_files import open_unnamed, reserve

IN_MEMORY = 2**26
"""Bytes of an array up to which it is in memory."""

_log = logging.getLogger(__name__)


def make_zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Make an array of zeros, in a file if it is large.

    Args:
        shape: Its shape.
        dtype: Its type.
    """
    size = math.prod(shape) * dtype.itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, dtype)
    try:
        with open_unnamed() as file:
            reserve(file, size)
            return _map_file(file, shape, dtype)
    except (OSError, RunError) as error:
        _tell_refusal(size, error)
        return np.zeros(shape, dtype)


class ArrayWriter:
    """Writes an array of one dimension piece by piece, and holds at most `IN_MEMORY` bytes of it.

    Args:
        dtype: The type of its values.
    """

    def __init__(self, dtype: type[np.generic]) -> None:
        self._dtype = np.dtype(dtype)
        self._parts: list[NDArray[Any]] = []
        self._held = self._written = 0  # bytes
        self._file: IO[bytes] | None = None
        self._is_refused = False

    def append(self, values: NDArray[Any]) -> None:
        """Add values at the end."""
        self._parts.append(values.astype(self._dtype, copy=False))
        self._held += self._parts[-1].nbytes
        if self._held > IN_MEMORY:
            self._spill()

    def finish(self) -> NDArray[Any]:
        """Return the whole array; nothing can be added after it."""
        if self._file is not None:
            self._spill()
            with self._file as file:
                if count := self._written // self._dtype.itemsize:
                    self._parts.insert(0, _map_file(file, (count,), self._dtype))
        if len(self._parts) == 1:
            return self._parts[0]
        return np.concatenate([np.zeros(0, self._dtype), *self._parts])

    def _spill(self) -> None:
        """Write to the file what is in memory, if there is room."""
        if self._is_refused or not self._parts:
            return
        try:
            self._file = self._file or open_unnamed()
            reserve(self._file, self._written + self._held)
            self._file.seek(self._written)
            for part in self._parts:
                self._file.write(part.tobytes())
            self._file.flush()
        except (OSError, RunError) as error:
            self._is_refused = True
            _tell_refusal(self._written + self._held, error)
            return
        self._written += self._held
        self._parts, self._held = [], 0


def split_rows(values: NDArray[Any], length: int, step: int) -> NDArray[Any]:
    """View an array of one dimension as rows that overlap, without a copy.

    Args:
        values: The array.
        length: Values of a row.
        step: Values between the beginnings of two rows.

    Returns:
        The whole rows, (rows, length).
    """
    if len(values) < length:
        return np.zeros((0, length), values.dtype)
    rows: NDArray[Any] = np.lib.stride_tricks.sliding_window_view(values, length)[::step]
    return rows


def _map_file(file: IO[bytes], shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    mapped: NDArray[Any] = np.memmap(file, dtype, "r+", shape=tuple(shape)).view(np.ndarray)
    return mapped


def _tell_refusal(size: int, error: Exception) -> None:
    _log.warning(
        "encoded examples need %s, which the cache cannot take (%s); they are kept in memory (FTAPP_CACHE names "
        "another folder)",
        format_size(size),
        getattr(error, "strerror", None) or error,
    )
