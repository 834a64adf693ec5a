"""Completions of a command line in the shell: recipes and their files, profiles, arms, runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ftapp.common.errors import RecipeError


def complete_recipe(incomplete: str) -> list[str]:
    """List names of recipes that come with ftapp, and TOML files with the folders on the way to them."""
    from ftapp import recipe

    start = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    try:
        beside = sorted(start.expanduser().iterdir())
    except (OSError, RuntimeError):  # no such folder, or an unknown user's home
        beside = []
    prefix = incomplete[: incomplete.rfind("/") + 1]
    found = [f"{prefix}{path.name}{'/' if path.is_dir() else ''}" for path in beside if _leads_to_recipes(path)]
    return _filter_names([*recipe.bundled(), *found], incomplete)


def _leads_to_recipes(path: Path) -> bool:
    return not path.name.startswith(".") and (path.suffix == ".toml" or path.is_dir())


def complete_profile(incomplete: str) -> list[str]:
    """List profiles of the recipes that the command line names; of all that come with ftapp where it names none."""
    from ftapp import recipe

    paths = _find_named() or list(recipe.bundled().values())
    return _filter_names(dict.fromkeys(name for path in paths for name in recipe.list_profiles(path)), incomplete)


def complete_arm(incomplete: str) -> list[str]:
    """List arms of the recipes that the command line names."""
    from ftapp import recipe

    return _filter_names([name for path in _find_named() for name in recipe.load_experiment(path).arms], incomplete)


def _find_named() -> list[Path]:
    """Return the files of the recipes that the command line names, as far as it is typed.

    It is read from where the shells put it: with an option whose value is still to come, it is not parsed.
    """
    from ftapp import recipe

    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS") or ""
    found: list[Path] = []
    for word in line.split():
        try:
            path = recipe.find(word)
            recipe.load_experiment(path)
        except RecipeError:
            continue
        found.append(path)
    return found


def complete_run(runs_dir: Path | None, incomplete: str) -> list[str]:
    """List names of runs and experiments, the newest first, and `last`."""
    from ftapp.common import user_folders
    from ftapp.experiments import experiment_lookup
    from ftapp.runs import run_lookup

    folder = user_folders.runs(runs_dir)
    found = [run.folder.name for run in run_lookup.list_runs(folder)]
    found += [experiment.folder.name for experiment in experiment_lookup.list_experiments(folder)]
    return _filter_names([*found, "last"], incomplete)


def complete_deleted(runs_dir: Path | None, incomplete: str) -> list[str]:
    """List names of deleted runs, the last deleted first, and `last`."""
    from ftapp.common import user_folders
    from ftapp.experiments import trash

    return _filter_names(
        [*(each.folder.name for each in trash.list_deleted(user_folders.runs(runs_dir))), "last"], incomplete
    )


def _filter_names(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
