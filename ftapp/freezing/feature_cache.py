"""The cache of features on disk: its entries, who uses them, and what is removed when they outgrow the quota.

An entry is a folder of files that `ftapp.freezing.feature_store` reads and writes. Locks die with their process:
whoever uses an entry shares its `.used` lock, so that no other process removes it; whoever adds to it holds its
`.filled` lock alone.
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
from ftapp.common.locks import locked

_QUOTA_GIB = 20.0
_DESCRIPTION = "description.json"


def folder() -> Path:
    """Where entries are kept, beside the downloads. It need not exist yet."""
    return user_folders.cache() / "features"


def quota() -> int:
    """How many bytes all entries may take: FTAPP_FEATURES_GIB, 20 GiB if it is not set. Raises RunError."""
    given = os.environ.get("FTAPP_FEATURES_GIB")
    try:
        gib = float(given) if given else _QUOTA_GIB
        if not 0 <= gib < float("inf"):
            raise ValueError
    except ValueError as error:
        raise RunError(f"FTAPP_FEATURES_GIB is a number of GiB from 0 up; got '{given}'") from error
    return int(gib * 2**30)


@dataclass(frozen=True)
class CacheEntry:
    """The features of one frozen half of a model.

    label: the model and its frozen layers, in words; size: bytes on disk; used: seconds since the Unix epoch.
    """

    folder: Path
    label: str
    size: int
    used: float


def entries() -> list[CacheEntry]:
    """All entries, the one used last first; those whose description is damaged take room too."""
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
def used(key: str, label: str) -> Iterator[Path]:
    """The folder of an entry, made if need be, which nobody removes until the context ends.

    Raises OSError when it cannot be made. An entry that is there may be one that this user cannot write to.
    """
    place = folder() / key
    if not place.is_dir():
        place.mkdir(parents=True)
    with ExitStack() as stack:
        with suppress(OSError):  # where no lock can be had, nobody can remove the entry either
            stack.enter_context(locked(place.with_suffix(".used"), fcntl.LOCK_SH))
        place.mkdir(exist_ok=True)
        with suppress(OSError):  # its time says when the entry was used last
            replace_file(place / _DESCRIPTION, json.dumps({"label": label}).encode())
        yield place


@contextmanager
def filled(place: Path) -> Iterator[None]:
    """While the context lasts nobody else adds to the entry in the folder `place`. Raises OSError."""
    with locked(place.with_suffix(".filled"), fcntl.LOCK_EX):
        yield


def make_room(size: int, place: Path | None = None) -> str | None:
    """Remove entries that nobody uses, the one used last longest ago first, until one of `size` bytes fits.

    The folder of entries is there, as `used` makes it.
    place: the folder of that entry, which stays; what it holds already is a part of `size`.
    Returns None when it fits, else why it does not: the quota, the disk, or entries in use.
    """
    if refused := beyond_quota(size):
        return refused
    limit = quota()
    own = sum(entry.size for entry in entries() if entry.folder == place)
    others = [entry for entry in entries() if entry.folder != place]
    while True:
        taken, free = sum(entry.size for entry in others), shutil.disk_usage(folder()).free
        if taken + max(size, own) <= limit and size - own <= free:
            return None
        removed = next((entry for entry in reversed(others) if remove(entry)), None)
        if removed is None:
            short = "the disk is full" if size - own > free else "other runs use what the quota allows"
            return f"it would take {size / 2**30:.2f} GiB, and {short}"
        others.remove(removed)


def beyond_quota(size: int) -> str | None:
    """Why an entry of `size` bytes does not fit even if it were alone; None when it does."""
    limit = quota()
    if size <= limit:
        return None
    return f"it would take {size / 2**30:.2f} GiB, and the quota is {limit / 2**30:.2f} (FTAPP_FEATURES_GIB)"


def remove(entry: CacheEntry) -> bool:
    """Remove an entry unless a run uses it, or it is another user's to remove; whether it is gone."""
    try:
        with locked(entry.folder.with_suffix(".used"), fcntl.LOCK_EX | fcntl.LOCK_NB):
            if os.access(entry.folder.parent, os.W_OK) and os.access(entry.folder, os.W_OK):
                shutil.rmtree(entry.folder, ignore_errors=True)
            return not entry.folder.exists()
    except OSError:
        return False
