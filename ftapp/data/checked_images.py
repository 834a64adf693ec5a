"""What the checks of image files found, kept in the cache until a file changes.

A file is known by its device and inode, its size, and the times of its last changes. Files that changed within the last
two seconds are not kept, since a file system may give two changes the same time.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from ftapp.common import cache_files, user_folders
from ftapp.common.errors import RunError
from ftapp.data.file_list import FileList
from ftapp.data.hashes import SIZE, Hashes

_SETTLED = 2 * 10**9  # nanoseconds
_FACTS = ("inode", "device", "size", "modified", "changed")
_RECORD = np.dtype([*((name, "<i8") for name in _FACTS), ("digest", "V16"), ("pixels", "V16")])  # 72 bytes a file
_FORMAT = f"1, Pillow {PIL.__version__}\n".encode()  # what decides the hashes of images

Records = NDArray[np.void]


@dataclass(frozen=True)
class KeptChecks:
    """The kept checks of a list of files.

    Attributes:
        path: The file of the cache; None where there is no cache.
        facts: What the files are known by, structured (files,), with zeros where one cannot be read.
        records: What is kept, ascending by inode.
        known: For each file the position of its record, -1 where there is none, int64 (files,).
    """

    path: Path | None
    facts: Records
    records: Records
    known: NDArray[np.int64]

    def look_up(self, known: NDArray[np.int64]) -> tuple[Hashes, Hashes]:
        """Return the hashes of the bytes and of the images of some records."""
        some = self.records[known]
        return _to_hashes(some["digest"]), _to_hashes(some["pixels"])

    def keep(self, digests: Hashes, pixels: Hashes) -> None:
        """Keep the checks of all files that could be decoded and have not changed just now.

        Args:
            digests: The hash of each file's bytes; zeros where it could not be decoded.
            pixels: The hash of its image.
        """
        newest = np.maximum(self.facts["modified"], self.facts["changed"])
        settled = digests.any(axis=1) & (newest < time.time_ns() - _SETTLED) & (self.facts["inode"] > 0)
        records = self.facts[settled]
        records["digest"], records["pixels"] = _to_void(digests[settled]), _to_void(pixels[settled])
        records = records[np.argsort(records["inode"], kind="stable")]
        if self.path:
            cache_files.keep(self.path, _FORMAT + records.tobytes())


def load(files: FileList) -> KeptChecks:
    """Load what earlier checks of these files found.

    Args:
        files: The files.

    Returns:
        The kept checks.
    """
    facts = _read_facts(files)
    path = _find_path(files)
    kept = (cache_files.load(path) if path else None) or b""
    content = kept.removeprefix(_FORMAT) if kept.startswith(_FORMAT) and _holds_records(kept) else b""
    records = np.frombuffer(content, _RECORD)
    places = np.searchsorted(records["inode"], facts["inode"])
    known = np.full(len(facts), -1)
    inside = np.flatnonzero(places < len(records))
    there = records[places[inside]]
    same = np.logical_and.reduce([there[name] == facts[name][inside] for name in _FACTS])
    known[inside[same]] = places[inside[same]]
    return KeptChecks(path, facts, records, known)


def _holds_records(kept: bytes) -> bool:
    return (len(kept) - len(_FORMAT)) % _RECORD.itemsize == 0


def _read_facts(files: FileList) -> Records:
    """Read what files are known by: 3 microseconds each."""
    facts = np.zeros(len(files), _RECORD)
    rows = np.zeros((len(files), len(_FACTS)), np.int64)
    for index in range(len(files)):
        try:
            found = os.stat(files.get_text(index))  # noqa: PTH116 - a path takes longer than the call
        except OSError:
            continue
        rows[index] = found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    for number, name in enumerate(_FACTS):
        facts[name] = rows[:, number]
    return facts


def _find_path(files: FileList) -> Path | None:
    """Find the file of the cache for the folder that all files lie in."""
    try:
        place = user_folders.cache() / "checked-images"
    except RunError:
        return None
    return place / hashlib.blake2b(os.fsencode(files.find_root()), digest_size=16).hexdigest()


def _to_hashes(values: Records) -> Hashes:
    return np.frombuffer(values.tobytes(), np.uint8).reshape(-1, SIZE)


def _to_void(hashes: Hashes) -> Records:
    return np.ascontiguousarray(hashes).view(f"V{SIZE}")[:, 0]
