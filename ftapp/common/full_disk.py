"""Waiting while a disk is full: writers try again until there is room, and others can see that they wait."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_Result = TypeVar("_Result")

_FULL = (errno.ENOSPC, errno.EDQUOT)
_PAUSE_SECONDS = 0.5
_LONG_SECONDS = 10.0


def is_full(error: BaseException | None) -> bool:
    """Return whether an error, or one that it came from, says that a disk or a quota is full.

    HDF5 tells the number of the error in its message alone, of an OSError or a RuntimeError. Libraries that save from
    several places chain errors in circles.
    """
    seen: set[int] = set()
    left = [error]
    while left:
        found = left.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        if (isinstance(found, OSError) and found.errno in _FULL) or f"errno = {errno.ENOSPC}," in str(found):
            return True
        left += found.__cause__, found.__context__
    return False


class FullDisk:
    """Lets the writers of one process wait while a disk is full.

    The process holds the lock on a file meanwhile (`ftapp.common.locks.is_locked`), which takes no room, and dies with
    it. waiting: whether it waits; seconds: how long it has waited in all; is_patient: whether it waits at all, or lets
    errors pass; confirm: called before each write, ends a process that may not write any more; look: called again and
    again while it waits, with the seconds of this wait so far. It may write, and what it raises ends the wait.
    """

    def __init__(self, lock_file: Path, confirm: Callable[[], None] = lambda: None) -> None:
        self._lock = lock_file.open("ab")
        self.confirm = confirm
        self.look: Callable[[float], None] = lambda seconds: None
        self.waiting = False
        self._begun = 0.0  # when it began to wait
        self.seconds = 0.0
        self.is_patient = True

    def write(self, write: Callable[[], _Result], folder: Path, size: int = 0) -> _Result:
        """`write()`, again and again while the disk of `folder` is full.

        size: bytes that have to be free before it is worth trying again; after ten seconds it is tried in any case,
        since a quota may be what is full.
        """
        has_begun = False  # not where `look` writes, and what it waits in goes on
        try:
            while True:
                try:
                    self.confirm()
                    reserve(folder, size)
                    return write()
                except Exception as error:
                    if not (self.is_patient and is_full(error)):
                        raise
                if not self.waiting:
                    self._begun, self.waiting, has_begun = time.perf_counter(), True, True
                    fcntl.flock(self._lock, fcntl.LOCK_EX)
                self._pause(folder, size)
        finally:
            if has_begun:
                self.waiting = False
                fcntl.flock(self._lock, fcntl.LOCK_UN)
                self.seconds += time.perf_counter() - self._begun

    def _pause(self, folder: Path, size: int) -> None:
        begun = time.monotonic()
        while True:
            time.sleep(_PAUSE_SECONDS)
            self.look(time.perf_counter() - self._begun)
            if shutil.disk_usage(folder).free >= size or time.monotonic() - begun >= _LONG_SECONDS:
                return


def reserve(folder: Path, size: int) -> None:
    """Find whether there is room, by a file that takes it for a moment.

    HDF5 brings its process down some time after a write that found the disk full, so it must not come to that.

    Args:
        folder: Where there has to be room.
        size: The bytes.

    Raises:
        OSError: There is none.
    """
    if size:
        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if is_full(error):
                    raise
