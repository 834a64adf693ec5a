"""The files of an entry of cached features: a block for each example, compared with its checksum at each read."""

from __future__ import annotations

import math
import os
import stat
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ftapp.common.safe_files import explain_error

FORMAT = 2
"""The version of the files' layout; entries of another version are not read."""

_INDEX = "index"


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """Return NumPy's dtype for Keras's name of one, `bfloat16` among them."""
    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


@dataclass(frozen=True)
class FeatureColumn:
    """One tensor of the features.

    Attributes:
        name: The tensor's name.
        shape: The shape of an example, or of a token when `by_token`.
        by_token: Whether the tensor has a row for each token.
        dtype: The type on disk.
    """

    name: str
    shape: tuple[int, ...]
    by_token: bool
    dtype: str

    @property
    def size(self) -> int:
        """The bytes of an example, or of a token when `by_token`."""
        return math.prod(self.shape) * numpy_dtype(self.dtype).itemsize


class FeatureStore:
    """The files of an entry: one for each column, and an index of the places of examples.

    An example is in the index only after its features are on the disk, so a killed process leaves no half-written
    example behind. A record of the index holds a checksum of each block of its example, and one of itself. An example
    with a damaged record or block counts as absent: it is computed anew and appended, and its last record counts.

    Attributes:
        folder: The entry's folder.
        columns: The tensors of the features.
        seconds_saved: The time that it once took to compute the examples found by `use`, in seconds.
        unwritable: The reason why no example can be added; empty when it can.
    """

    def __init__(self, folder: Path, columns: Sequence[FeatureColumn]) -> None:
        self.folder, self.columns = folder, tuple(columns)
        self._dtype = np.dtype(
            [
                ("key", "V16"),
                ("start", "<i8"),
                ("count", "<i8"),
                ("seconds", "<f8"),
                ("sums", "<u4", (len(self.columns),)),
                ("check", "<u4"),
            ]
        )
        # About 200 bytes an example; with an object for each record it would be twice as much.
        self._numbers: dict[bytes, int] = {}  # of the last sound record of each example
        self._records = np.zeros(0, self._dtype)  # by number, with room at the end
        self._is_sound, self._is_used = np.zeros(0, bool), np.zeros(0, bool)  # by number; blocks that have been checked
        self._count = 0  # of records
        self._tokens = 0
        self._damaged = 0
        self._files: dict[str, int] = {}
        self.seconds_saved = 0.0
        self.unwritable = ""
        for name in (_INDEX, *(column.name for column in self.columns)):
            descriptor, reason = _open(folder / name)
            self.unwritable = self.unwritable or reason
            if descriptor is not None:
                self._files[name] = descriptor
        self.refresh()

    def __contains__(self, key: bytes) -> bool:
        return key in self._numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def close(self) -> None:
        """Close the files; the store reads nothing after it."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def keys(self) -> list[bytes]:
        """Return the keys of all examples in the store."""
        return list(self._numbers)

    def refresh(self) -> None:
        """Read the records that other processes have added."""
        size = self._dtype.itemsize
        data = self._read(_INDEX, self._count * size, None)
        records = np.frombuffer(data, self._dtype, len(data) // size)
        self._make_room(self._count + len(records))
        self._records[self._count : self._count + len(records)] = records
        covered = size - records["check"].itemsize
        checks = [zlib.crc32(memoryview(data)[at : at + covered]) for at in range(0, len(records) * size, size)]
        places = np.flatnonzero(np.array(checks, np.uint32) == records["check"])
        sound = records[places]
        self._numbers.update(zip(sound["key"].tolist(), (self._count + places).tolist(), strict=True))
        self._damaged += len(records) - len(sound)
        self._count += len(records)
        self._tokens = max(self._tokens, int((sound["start"] + sound["count"]).max(initial=0)))

    def _make_room(self, count: int) -> None:
        """Let the arrays hold so many records."""
        if count > len(self._records):
            more = max(count, 2 * len(self._records)) - len(self._records)
            self._records = np.concatenate([self._records, np.zeros(more, self._dtype)])
            self._is_sound, self._is_used = (
                np.concatenate([known, np.zeros(more, bool)]) for known in (self._is_sound, self._is_used)
            )

    def check(self, keys: Iterable[bytes]) -> None:
        """Compare the blocks of these examples with their checksums, once, and forget damaged examples."""
        for key in keys:
            number = self._numbers.get(key)
            if number is None or self._is_sound[number]:
                continue
            if None not in self._read_blocks(number):
                self._is_sound[number] = True
            else:
                del self._numbers[key]
                self._damaged += 1

    def unchecked(self, keys: Sequence[bytes]) -> list[bytes]:
        """Return those of these keys that are in the store and that `check` has not compared yet."""
        found = ((key, self._numbers.get(key)) for key in dict.fromkeys(keys))
        return [key for key, number in found if number is not None and not self._is_sound[number]]

    def take_damaged(self) -> int:
        """Return the number of examples found damaged since the last call."""
        damaged, self._damaged = self._damaged, 0
        return damaged

    def trim(self) -> int:
        """Cut off the bytes behind the features that the index lists, and return their number.

        A killed process left them, or the index has lost its end. The caller holds the entry's lock.
        """
        ends = {column.name: column.size * self._length(column) for column in self.columns}
        ends[_INDEX] = self._count * self._dtype.itemsize
        left = {name: os.fstat(self._files[name]).st_size - end for name, end in ends.items()}
        for name, behind in left.items():
            if behind > 0:
                os.ftruncate(self._files[name], ends[name])
        return sum(max(0, behind) for behind in left.values())

    def use(self, keys: Sequence[bytes]) -> None:
        """Add the time that it once took to compute these examples to `seconds_saved`, once for each example."""
        numbers = np.array(sorted({self._numbers[key] for key in keys if key in self._numbers}), np.int64)
        new = numbers[~self._is_used[numbers]]
        self.seconds_saved += float(self._records["seconds"][new].sum())
        self._is_used[new] = True

    def append(
        self, keys: Sequence[bytes], counts: Sequence[int], values: dict[str, NDArray[Any]], seconds: float
    ) -> None:
        """Add examples. The caller holds the entry's lock (`feature_cache.lock_for_writing`).

        Args:
            keys: The hash of each example, 16 bytes.
            counts: The number of tokens of each example; 0 where no column is by token.
            values: Arrays by the name of the column, (examples, ...) or (examples, at least so many tokens, ...).
            seconds: The time that one example took to compute.

        Raises:
            OSError: The files cannot be written.
        """
        starts = self._tokens + np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        records = np.zeros(len(keys), self._dtype)
        records["key"], records["start"], records["count"] = [np.void(key) for key in keys], starts, counts
        records["seconds"] = seconds
        for index, column in enumerate(self.columns):
            rows = [
                _bytes(row[:count] if column.by_token else row, column.dtype)
                for row, count in zip(values[column.name], counts, strict=True)
            ]
            records["sums"][:, index] = [zlib.crc32(row) for row in rows]
            offset = (int(starts[0]) if column.by_token else self._count) * column.size
            self._write(column.name, offset, b"".join(rows))
        covered = self._dtype.itemsize - records["check"].itemsize
        records["check"] = [zlib.crc32(record.tobytes()[:covered]) for record in records]
        first = self._count
        self._write(_INDEX, first * self._dtype.itemsize, records.tobytes())
        self.refresh()
        self._is_sound[first : self._count] = self._is_used[first : self._count] = True

    def read(self, keys: Sequence[bytes], width: int | None) -> tuple[dict[str, NDArray[Any]], list[int]]:
        """Read the features of examples.

        Args:
            keys: The hash of each example.
            width: The number of tokens to which columns by token are padded.

        Returns:
            The features by the name of the column, (examples, ...) or, by token, (examples, width, ...) with zeros
            behind each example's tokens and for absent examples; and the places of examples that are absent or damaged.
        """
        result = {
            column.name: np.zeros(
                (len(keys), *((width or 0,) if column.by_token else ()), *column.shape), numpy_dtype(column.dtype)
            )
            for column in self.columns
        }
        absent = []
        for place, key in enumerate(keys):
            number = self._numbers.get(key)
            blocks = [None] if number is None else self._read_blocks(number)
            if number is None or None in blocks:
                if number is not None:
                    self._is_sound[number] = False
                absent.append(place)
                continue
            count = int(self._records["count"][number])
            for column, block in zip(self.columns, blocks, strict=True):
                rows = result[column.name]
                kept = np.frombuffer(block or b"", rows.dtype)
                if column.by_token:
                    rows[place, :count] = kept.reshape(count, *column.shape)
                else:
                    rows[place] = kept.reshape(column.shape)
        return result, absent

    def _read_blocks(self, number: int) -> list[bytes | None]:
        """Read the block of an example in each column; None for one that differs from what was written."""
        _, start, tokens, _, checks, _ = self._records[number].item()
        found: list[bytes | None] = []
        for column, check in zip(self.columns, checks.tolist(), strict=True):
            place, count = (start, tokens) if column.by_token else (number, 1)
            block = self._read(column.name, place * column.size, count * column.size)
            is_sound = len(block) == count * column.size and zlib.crc32(block) == check
            found.append(block if is_sound else None)
        return found

    def _length(self, column: FeatureColumn) -> int:
        return self._tokens if column.by_token else self._count

    def _read(self, name: str, offset: int, size: int | None) -> bytes:
        """Read bytes of a file, fewer where it ends before or cannot be read; a size of None reads to its end."""
        try:
            descriptor = self._files[name]
            if size is None:
                size = max(0, os.fstat(descriptor).st_size - offset)
            return os.pread(descriptor, size, offset)
        except (KeyError, OSError):
            return b""

    def _write(self, name: str, offset: int, content: bytes) -> None:
        view = memoryview(content)
        while view:
            written = os.pwrite(self._files[name], view, offset)
            view, offset = view[written:], offset + written
        os.fsync(self._files[name])


def _bytes(values: NDArray[Any], dtype: str) -> bytes:
    return np.ascontiguousarray(values, numpy_dtype(dtype)).tobytes()


def _open(path: Path) -> tuple[int | None, str]:
    """Open a file, for reading alone where it cannot be written.

    Returns:
        The descriptor, None where the file cannot be read; and the reason why it cannot be written.
    """
    refusal = ""
    for access in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        try:
            descriptor = os.open(path, access | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        except OSError as error:
            refusal = refusal or explain_error(error)
            continue
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor, refusal
        os.close(descriptor)
        return None, f"{path.name} is not a file"
    return None, refusal
