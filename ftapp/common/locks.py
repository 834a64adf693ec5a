"""Locks between processes that die with their process, on files that users of one cache may share."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ftapp.common.safe_files import open_file

_LOOK_SECONDS = 0.001


@contextmanager
def hold_lock(path: Path, kind: int) -> Iterator[None]:
    """While the context lasts the file `path` is locked, made if need be. kind: as in `fcntl.flock`.

    Another user's file is locked too, without being written to. Raises BlockingIOError as `fcntl.flock` does, OSError
    when the file can be neither written nor read.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        if not path.exists():
            raise
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def lock_alone(file: IO[Any]) -> None:
    """Lock an open file until it is closed, also by children that inherit it.

    `is_locked` shares the lock for an instant, which is waited for. Raises BlockingIOError where a process holds the
    lock alone.
    """
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        time.sleep(_LOOK_SECONDS)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock on a file. False also for a file that cannot be read. Never raises."""
    try:
        with open_file(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
