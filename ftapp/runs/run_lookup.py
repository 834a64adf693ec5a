"""Finding runs: the list of those in a folder, and a run by its name."""

from __future__ import annotations

import os
from pathlib import Path

from ftapp.common.errors import Problem, RecipeError, suggest_nearest
from ftapp.common.safe_files import is_file, is_folder
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_names import is_name, read_age


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
    return sorted((name for name in names if is_folder(folder / name)), key=read_age, reverse=True)


def find(name: str, folder: Path) -> RunFolder:
    """A run by its folder, by its name in `folder` or the beginning of it, or `last` for the newest.

    A name with … in its middle, as narrow lists show it, stands for the runs whose names begin and end so.

    Raises RecipeError, naming the nearest, when there is none or more than one.
    """
    if is_file(Path(name) / "recipe.toml"):
        return RunFolder(Path(name).absolute())
    found = list_runs(folder)
    named = found[:1] if name == "last" else [run for run in found if run.folder.name == name]
    start, _, end = name.partition("…")
    named = named or [run for run in found if run.folder.name.startswith(start) and run.folder.name.endswith(end)]
    if len(named) == 1:
        return named[0]
    if named:
        message = (
            f"a run's name says which one; '{name}' is the beginning of {len(named)}, such as '{named[0].folder.name}'"
        )
    else:
        message = f"there is no run '{name}' in {folder}; {suggest_nearest(name, [run.folder.name for run in found])}"
    raise RecipeError([Problem("", "", message)])
