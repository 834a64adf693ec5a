"""Archives of a user that are read as folders: unpacked into the cache once, by a hash of their content."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftapp.common import archives, cache_folders, user_folders
from ftapp.common.archives import Whole
from ftapp.common.downloads import Progress
from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.common.safe_files import explain_error
from ftapp.recipe import sources


@contextmanager
def open_folder(path: Path, progress: Progress | None = None) -> Iterator[Path]:
    """Open a folder, or an archive in place of one.

    Args:
        path: The folder or archive.
        progress: Called when an archive is unpacked.

    Yields:
        The absolute path of the folder, or of what the archive holds. Problems with files in there are raised as
        problems with files of the archive.

    Raises:
        RecipeError: The archive is damaged, too large or unsafe.
        RunError: The cache cannot be written.
    """
    path = path.expanduser().absolute()
    if not sources.is_archive(path):
        yield path
        return
    folder = _unpack(path, progress)
    try:
        yield folder
    except RecipeError as error:
        raise RecipeError(
            [
                dataclasses.replace(
                    problem,
                    file=problem.file.replace(str(folder), str(path)),
                    message=problem.message.replace(str(folder), str(path)),
                )
                for problem in error.problems
            ]
        ) from error


def _unpack(archive: Path, progress: Progress | None) -> Path:
    try:
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _make_error(archive, f"this archive cannot be read: {explain_error(error)}") from error
    folder = user_folders.cache() / "unpacked" / digest[:16]

    def fill(scratch: Path) -> None:
        if progress:
            progress(f"unpacking {archive.name}", 0, None)
        archives.unpack(archive, Whole(archive.name), scratch)
        cache_folders.write_manifest(scratch)

    try:
        cache_folders.make(
            folder, f"the files of {archive.name}", lambda: cache_folders.matches_manifest(folder), fill, progress
        )
    except cache_folders.UnwritableError:
        raise
    except RunError as error:
        raise _make_error(archive, f"{error}; unpack it yourself, and name the folder") from error
    return folder


def _make_error(archive: Path, message: str) -> RecipeError:
    return RecipeError([Problem(str(archive), "data.source", message)])
