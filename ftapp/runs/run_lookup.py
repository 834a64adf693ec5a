"""Finding runs: the list of those in a folder, and a run by its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from ftapp.common.errors import Problem, RecipeError, suggest_nearest
from ftapp.common.safe_files import is_file, is_folder
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_names import is_name, make_sort_key


class _HasFolder(Protocol):
    @property
    def folder(self) -> Path: ...


_Folder = TypeVar("_Folder", bound=_HasFolder)


def list_runs(folder: Path) -> list[RunFolder]:
    """The runs in a folder, newest first."""
    return [RunFolder(folder / name) for name in list_folders(folder)]


def list_folders(folder: Path, known_by: str = "recipe.toml") -> list[str]:
    """List the names of the runs' folders, newest first.

    Args:
        folder: Where runs are kept.
        known_by: The file that a folder of another name must hold. Folders that are named as runs are count anyway.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if is_name(entry.name) or is_file(Path(entry) / known_by)]
    except OSError:
        return []
    return sorted((name for name in names if is_folder(folder / name)), key=make_sort_key, reverse=True)


def match_name(name: str, found: Sequence[_Folder]) -> list[_Folder]:
    """Find those of some folders that a user means.

    Args:
        name: The name of one or the beginning of it, or `last` for the first. A name with … in its middle, as narrow
            lists show it, stands for all that begin and end so.
        found: The folders, the newest first.
    """
    if exact := found[:1] if name == "last" else [each for each in found if each.folder.name == name]:
        return list(exact)
    start, _, end = name.partition("…")
    return [each for each in found if each.folder.name.startswith(start) and each.folder.name.endswith(end)]


def find(name: str, folder: Path) -> RunFolder:
    """Find a run.

    Args:
        name: Its folder, or what `match_name` takes.
        folder: The folder of all runs.

    Returns:
        The run.

    Raises:
        RecipeError: There is none, or more than one; the error names the nearest.
    """
    if is_file(Path(name) / "recipe.toml"):
        return RunFolder(Path(name).absolute())
    found = list_runs(folder)
    named = match_name(name, found)
    if len(named) == 1:
        return named[0]
    if named:
        message = (
            f"a run's name says which one; '{name}' is the beginning of {len(named)}, such as '{named[0].folder.name}'"
        )
    else:
        message = f"there is no run '{name}' in {folder}; {suggest_nearest(name, [run.folder.name for run in found])}"
    raise RecipeError([Problem("", "", message)])
