"""Files and folders that appear whole or not at all, and that a power cut leaves whole.

What is written goes to a hidden scratch beside its place, is flushed to the disk, and is renamed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


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
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def make_folder_in_place(path: Path) -> Iterator[Path]:
    """A scratch folder that becomes `path` when the context ends well, and is removed when it does not.

    Its parents are made if need be. The scratch is locked while its process lives; scratches for the same `path` that
    nobody locks were left by processes that were killed, and are removed. Raises OSError: where it cannot be written,
    and at the end where a folder that holds anything is at `path` already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    scratch = _name_scratch(path)
    scratch.mkdir()
    lock = os.open(scratch, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield scratch
        for folder, _, files in os.walk(scratch):
            for name in files:
                _sync(Path(folder, name))
            _sync(Path(folder))
        scratch.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(lock)


def discard(path: Path) -> None:
    """Take a file or folder out of its place at once, and remove it as far as that is allowed. Raises OSError."""
    scratch = _name_scratch(path)
    path.rename(scratch)
    if scratch.is_dir() and not scratch.is_symlink():
        shutil.rmtree(scratch, ignore_errors=True)
    else:
        scratch.unlink(missing_ok=True)


def _name_scratch(path: Path) -> Path:
    """A hidden name beside `path` that nobody else has."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def _remove_leftovers(path: Path) -> None:
    prefix, suffix = f".{path.name}.", ".tmp"
    for found in path.parent.iterdir():
        middle = found.name.removeprefix(prefix).removesuffix(suffix)
        if found.name != f"{prefix}{middle}{suffix}" or "." in middle or not found.is_dir() or found.is_symlink():
            continue
        with suppress(OSError):  # it is another user's, or was removed meanwhile
            lock = os.open(found, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(found, ignore_errors=True)
            finally:
                os.close(lock)


def _sync(path: Path) -> None:
    """Have what is in a file, or which names are in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
