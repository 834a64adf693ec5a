"""The cache of features on disk: its entries, their locks, and the removal of entries beyond the quota.

An entry is a folder of files that `ftapp.freezing.feature_store` reads and writes. A process that uses an entry shares
the entry's `.used` lock, so that no other process removes it. A process that adds to an entry holds its `.filled` lock
alone. Locks end with their process.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ftapp.common import user_folders
from ftapp.common.durable import replace_file
from ftapp.common.errors import RunError
from ftapp.common.formatting import format_size
from ftapp.common.locks import hold_lock

_QUOTA_GIB = 20.0
_DESCRIPTION = "description.json"


def folder() -> Path:
    """Return the folder of all entries, beside the downloads; it may not exist yet."""
    return user_folders.cache() / "features"


def read_quota() -> int:
    """Return the bytes that all entries may take together.

    They are FTAPP_FEATURES_GIB, or 20 GiB if it is not set.

    Raises:
        RunError: FTAPP_FEATURES_GIB is no such number.
    """
    given = os.environ.get("FTAPP_FEATURES_GIB")
    try:
        gib = float(given) if given else _QUOTA_GIB
        if not 0 <= gib < float("inf"):
            raise ValueError
    except ValueError as error:
        raise RunError(f"FTAPP_FEATURES_GIB = '{given}' is no number of GiB; it is 0 or more, such as 20") from error
    return int(gib * 2**30)


@dataclass(frozen=True)
class CacheEntry:
    """The features of one frozen half of a model.

    Attributes:
        folder: The folder of its files.
        label: The model and its frozen layers, in words.
        size: Bytes on disk.
        used: The time of the last use, in seconds since the Unix epoch.
    """

    folder: Path
    label: str
    size: int
    used: float


def list_entries() -> list[CacheEntry]:
    """Return all entries, those with a damaged description too, with the last used one first."""
    found = []
    with suppress(OSError):
        for place in folder().iterdir():
            with suppress(OSError):  # it is being removed
                if place.is_dir() and not place.is_symlink():
                    size = sum(part.lstat().st_blocks * 512 for part in place.iterdir())
                    found.append(CacheEntry(place, _label(place), size, _time_used(place)))
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def _label(place: Path) -> str:
    try:
        return str(json.loads((place / _DESCRIPTION).read_bytes())["label"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return f"an entry without a description ({place.name})"


def _time_used(place: Path) -> float:
    try:
        return (place / _DESCRIPTION).stat().st_mtime
    except OSError:
        return place.stat().st_mtime


@contextmanager
def open_entry(key: str, label: str) -> Iterator[Path]:
    """Yield the folder of an entry, new if need be; no process removes it until the context ends.

    This user may not be able to write to an entry that exists already.

    Args:
        key: The name of the entry (`feature_store.make_key`).
        label: Its description, in words.

    Raises:
        OSError: The folder cannot be made.
    """
    place = folder() / key
    if not place.is_dir():
        place.mkdir(parents=True)
    with ExitStack() as stack:
        with suppress(OSError):  # where no lock can be had, nobody can remove the entry either
            stack.enter_context(hold_lock(place.with_suffix(".used"), fcntl.LOCK_SH))
        place.mkdir(exist_ok=True)
        with suppress(OSError):  # its time says when the entry was used last
            replace_file(place / _DESCRIPTION, json.dumps({"label": label}).encode())
        yield place


@contextmanager
def lock_for_writing(place: Path) -> Iterator[None]:
    """Keep other processes from adding to the entry in the folder `place` until the context ends.

    Raises:
        OSError: The lock cannot be had.
    """
    with hold_lock(place.with_suffix(".filled"), fcntl.LOCK_EX):
        yield


def make_room(size: int, place: Path | None = None) -> str | None:
    """Remove unused entries, oldest first, until an entry of `size` bytes fits.

    The folder of all entries exists, since `open_entry` makes it.

    Args:
        size: Bytes of the entry, with those that it holds already.
        place: The folder of that entry, which stays.

    Returns:
        None when the entry fits, else the reason why not: the quota, the disk, or entries in use.
    """
    if refused := check_quota(size):
        return refused
    limit = read_quota()
    entries = list_entries()
    own = sum(entry.size for entry in entries if entry.folder == place)
    others = [entry for entry in entries if entry.folder != place]
    while True:
        taken, free = sum(entry.size for entry in others), shutil.disk_usage(folder()).free
        if taken + max(size, own) <= limit and size - own <= free:
            return None
        can_fit = size - own <= free + taken  # else nothing is removed in vain
        removed = next((entry for entry in reversed(others) if can_fit and remove(entry)), None)
        if removed is None:
            short = "other runs use what the quota allows"
            if size - own > free:
                short = f"{format_size(free)} are free in {folder()} (FTAPP_CACHE names another folder)"
            return f"{_describe_need(size)}, and {short}"
        others.remove(removed)


def measure_free() -> int:
    """Return the bytes that are free on the disk of the cached features; 0 where that cannot be known."""
    place = folder()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return 0


def check_quota(size: int) -> str | None:
    """Return why an entry of `size` bytes does not fit even if it were alone; None when it fits."""
    limit = read_quota()
    if size <= limit:
        return None
    return f"{_describe_need(size)}, and the quota is {format_size(limit)} (FTAPP_FEATURES_GIB)"


def _describe_need(size: int) -> str:
    return f"the features need {format_size(size)}"


def remove(entry: CacheEntry) -> bool:
    """Remove an entry, unless a run uses it or it belongs to another user; return whether it is gone."""
    try:
        with hold_lock(entry.folder.with_suffix(".used"), fcntl.LOCK_EX | fcntl.LOCK_NB):
            if os.access(entry.folder.parent, os.W_OK) and os.access(entry.folder, os.W_OK):
                shutil.rmtree(entry.folder, ignore_errors=True)
            return not entry.folder.exists()
    except OSError:
        return False
