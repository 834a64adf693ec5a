"""Files and folders that appear whole or not at all, and that a power cut leaves whole.

What is written goes to a hidden scratch beside its place, is flushed to the disk, and is renamed.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DIGITS = 8  # of the name of a scratch


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` into the file `path`, in place of what it held. Raises OSError, and then leaves it as it was.

    The file behind a link is replaced, not the link; a pipe or a device is written to.
    """
    try:
        path = path.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # a pipe that nobody reads is not waited for
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return
    scratch = _name_scratch(path)
    try:
        with scratch.open("xb") as file:
            with suppress(OSError):  # a file system may have no locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def make_folder_in_place(path: Path, *, replaces: bool = False) -> Iterator[Path]:
    """A scratch folder that becomes `path` when the context ends well, and is removed when it does not.

    Its parents are made if need be. The scratch is locked while its process lives; scratches for the same `path` that
    nobody locks were left by processes that were killed, and are removed. replaces: whether what is at `path` stays
    there until the new folder is on the disk, and is then removed. Raises OSError: where it cannot be written, and at
    the end where a folder that holds anything is at `path` already, unless it is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name)
    scratch = _name_scratch(path)
    scratch.mkdir()
    lock = os.open(scratch, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield scratch
        for folder, _, files in os.walk(scratch):
            for name in files:
                sync(Path(folder, name))
            sync(Path(folder))
        if replaces and os.path.lexists(path):
            with _moved_aside(path):
                scratch.rename(path)
        else:
            scratch.rename(path)
        sync(path.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(lock)


@contextmanager
def _moved_aside(path: Path) -> Iterator[None]:
    """Take a file or folder out of its place; it is removed when the context ends well, and else put back."""
    aside = _name_scratch(path)
    path.rename(aside)
    try:
        yield
    except BaseException:
        aside.rename(path)
        raise
    _remove(aside)


def discard(path: Path) -> None:
    """Take a file or folder out of its place at once, and remove it as far as that is allowed. Raises OSError."""
    with _moved_aside(path):
        pass


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove the scratches in a folder that processes left when they were killed: those that nobody locks.

    Args:
        folder: The folder; it need not exist.
        name: The name of the file or folder whose scratches are removed; None for those of all.
    """
    wanted = "*" if name is None else glob.escape(name)
    for found in folder.glob(f".{wanted}.{'[0-9a-f]' * _DIGITS}.tmp"):
        with suppress(OSError):  # it is another user's, is locked, or was removed meanwhile
            descriptor = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(found)
            finally:
                os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove a file, or a folder as far as that is allowed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _name_scratch(path: Path) -> Path:
    """A hidden name beside `path` that nobody else has."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:_DIGITS]}.tmp")


def sync(path: Path) -> None:
    """Have what is in a file, or which names are in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
