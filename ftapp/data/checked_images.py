"""What the checks of image files found, kept in the cache until a file changes.

A file is known by its device and inode, its size, and the times of its last changes. Files that changed within the two
seconds before a check began, or since then, are not kept: a file system may give two changes the same time, and only
one of them was seen.
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
from ftapp.data.image_examination import FACTS, NO_FACTS, pack_facts

_SETTLED = 2 * 10**9  # nanoseconds
_RECORD = np.dtype([*((name, "<i8") for name in FACTS), ("digest", "V16"), ("pixels", "V16")])  # 72 bytes a file
_FORMAT = f"1, Pillow {PIL.__version__}\n".encode()  # what decides the hashes of images

Records = NDArray[np.void]


@dataclass(frozen=True)
class KeptChecks:
    """The kept checks of a list of files.

    Attributes:
        path: The file of the cache; None where there is no cache.
        facts: What the files are known by, structured (files,), with zeros where that is not known.
        records: What is kept, ascending by inode.
        known: For each file the position of its record, -1 where there is none, int64 (files,).
        begun: When the check began, in nanoseconds since the Unix epoch.
    """

    path: Path | None
    facts: Records
    records: Records
    known: NDArray[np.int64]
    begun: int

    def look_up(self, known: NDArray[np.int64]) -> tuple[Hashes, Hashes]:
        """Return the hashes of the bytes and of the images of some records."""
        some = self.records[known]
        return _to_hashes(some["digest"]), _to_hashes(some["pixels"])

    def note(self, places: NDArray[np.int64], facts: bytes) -> None:
        """Note what some files were known by when they were read, as `Examined` has it."""
        columns = np.frombuffer(facts, np.int64).reshape(-1, len(FACTS)).T
        for name, column in zip(FACTS, columns, strict=True):
            self.facts[name][places] = column

    def keep(self, digests: Hashes, pixels: Hashes) -> None:
        """Keep the checks of all files that could be decoded and had not changed just before.

        Args:
            digests: The hash of each file's bytes; zeros where it could not be decoded.
            pixels: The hash of its image.
        """
        newest = np.maximum(self.facts["modified"], self.facts["changed"])
        settled = digests.any(axis=1) & (newest < self.begun - _SETTLED) & (self.facts["inode"] != 0)
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
    begun, path = time.time_ns(), _find_path(files)
    kept = (cache_files.load(path) if path else None) or b""
    content = kept.removeprefix(_FORMAT) if kept.startswith(_FORMAT) and _holds_records(kept) else b""
    records = np.frombuffer(content, _RECORD)
    found = KeptChecks(path, np.zeros(len(files), _RECORD), records, np.full(len(files), -1), begun)
    if len(records):
        found.note(np.arange(len(files)), _read_facts(files))
        places = np.searchsorted(records["inode"], found.facts["inode"])
        inside = np.flatnonzero(places < len(records))
        there, wanted = records[places[inside]], found.facts[inside]
        same = np.logical_and.reduce([there[name] == wanted[name] for name in FACTS])
        found.known[inside[same]] = places[inside[same]]
    return found


def _holds_records(kept: bytes) -> bool:
    return (len(kept) - len(_FORMAT)) % _RECORD.itemsize == 0


def _read_facts(files: FileList) -> bytes:
    """Read the `FACTS` of all files, zeros where one cannot be read: 3 microseconds each."""
    rows = bytearray()
    for index in range(len(files)):
        try:
            rows += pack_facts(os.stat(files.get_text(index)))  # noqa: PTH116 - a path takes longer than the call
        except OSError:
            rows += NO_FACTS
    return bytes(rows)


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
