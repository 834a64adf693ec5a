"""Folders of the cache that are made once: whole or absent, found intact at each use or made anew."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ftapp.common.durable import make_folder_in_place
from ftapp.common.errors import RunError
from ftapp.common.locks import hold_lock
from ftapp.common.safe_files import explain_error

Progress = Callable[[str, int, int | None], None]
"""Called with what is fetched or made, the bytes that have arrived, and the bytes in all where they are known."""

MANIFEST = ".ftapp-manifest.json"

_log = logging.getLogger(__name__)


class UnwritableError(RunError):
    """A folder of the cache that is absent or damaged, and cannot be made."""


def make(
    folder: Path,
    label: str,
    is_intact: Callable[[], bool],
    fill: Callable[[Path], None],
    progress: Progress | None = None,
) -> None:
    """Have `folder` hold what `fill(folder)` puts into an empty one, unless `is_intact()` finds it there.

    Processes at once make it one time. What is damaged is removed, and that is logged as a warning. label: what the
    folder holds, in words. Raises UnwritableError.
    """
    if is_intact():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_name(f"{folder.name}.lock"), label, progress):
            if is_intact():
                return
            with make_folder_in_place(folder, replaces=True) as scratch:
                fill(scratch)
                if folder.exists() or folder.is_symlink():
                    _log.warning("%s held a damaged copy of %s; it was made again", folder, label)
    except OSError as error:
        raise UnwritableError(
            f"{folder.parent} cannot be written: {explain_error(error)}, so {label} cannot be kept there "
            "(FTAPP_CACHE names another folder)"
        ) from error


def write_manifest(folder: Path) -> None:
    """Write the sha256 of all files of a folder into it."""
    (folder / MANIFEST).write_text(json.dumps(compute_hashes(folder), indent=1), encoding="utf-8")


def matches_manifest(folder: Path) -> bool:
    """Whether a folder holds the files that its manifest lists, as they were, and no others."""
    listed = read_manifest(folder)
    try:
        return bool(listed) and compute_hashes(folder) == listed
    except OSError:
        return False


def find_changes(folder: Path) -> list[str]:
    """Those files that the manifest of a folder lists and that are not as they were; none of a folder without one."""
    if not (folder / MANIFEST).exists():
        return []
    listed = read_manifest(folder) or {MANIFEST: ""}
    try:
        found = compute_hashes(folder)
    except OSError:
        found = {}
    return [name for name, digest in listed.items() if found.get(name) != digest]


def read_manifest(folder: Path) -> dict[str, str]:
    """Path inside a folder -> sha256 when it was made; empty when the folder is absent or its manifest unreadable."""
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def compute_hashes(folder: Path) -> dict[str, str]:
    """Path inside a folder -> sha256, of all files but the manifest: 1 to 2 GB/s. Raises OSError.

    What is no plain file has a hash that no file has.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            found[name] = "not a file"
        elif path.is_file() and name != MANIFEST:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


@contextmanager
def _lock(path: Path, label: str, progress: Progress | None) -> Iterator[None]:
    try:
        with hold_lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
            return
    except BlockingIOError:
        if progress:
            progress(f"waiting for another process that makes {label}", 0, None)
    with hold_lock(path, fcntl.LOCK_EX):
        yield
