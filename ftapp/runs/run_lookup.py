"""Finding runs: the list of those in a folder, and a run by its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

from ftapp.common.errors import Problem, RecipeError, suggest_nearest
from ftapp.common.safe_files import is_file, is_folder, read_object
from ftapp.runs.event_types import Time
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_names import is_name, make_sort_key

_FACTS = "environment.json"  # says when a run was made


class _HasFolder(Protocol):
    @property
    def folder(self) -> Path: ...


_Folder = TypeVar("_Folder", bound=_HasFolder)


def list_runs(folder: Path) -> list[RunFolder]:
    """The runs in a folder, newest first."""
    return [RunFolder(folder / name) for name in list_folders(folder)]


def list_folders(folder: Path, known_by: str = "recipe.toml", facts: str = _FACTS) -> list[str]:
    """List the names of the runs' folders, newest first.

    Args:
        folder: Where runs are kept.
        known_by: The file that a folder of another name must hold. Folders that are named as runs are count anyway.
        facts: The file of each folder that says when it was made.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if is_name(entry.name) or is_file(Path(entry) / known_by)]
    except OSError:
        return []
    there = (name for name in names if is_folder(folder / name))
    return sorted(there, key=lambda name: make_folder_key(folder, name, facts), reverse=True)


def make_folder_key(folder: Path, name: str, facts: str = _FACTS) -> tuple[str, str, str]:
    """Make the key by which a run or an experiment is sorted: by when it was made, also where its user has renamed it.

    Args:
        folder: Where it lies.
        name: The name of its own folder.
        facts: The file in it that says when it was made.
    """
    if is_name(name):
        return make_sort_key(name)
    file = folder / name / facts
    try:
        changed = file.stat().st_mtime_ns
    except OSError:
        return make_sort_key(name)
    return make_sort_key(name, _read_created(file, changed))


@lru_cache(maxsize=10_000)
def _read_created(file: Path, changed: int) -> float:
    """Read when a run or an experiment was made; 0 where its file does not say so. changed: when the file was."""
    created: float = read_object(file, {"created": Time})[0].get("created", 0.0)
    return created


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
