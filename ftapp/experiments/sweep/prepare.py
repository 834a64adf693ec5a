"""A sweep's folder, and the recipes of its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftapp import recipe as recipes
from ftapp.experiments import experiment_creation
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.sweep.search import Search
from ftapp.experiments.sweep.trials import OWN
from ftapp.recipe import Recipe
from ftapp.recipe.toml_text import format_override
from ftapp.runs.environment import check_installed


def prepare_sweep(
    search: Search,
    path: Path,
    profile: str | None,
    runs_dir: Path,
    *,
    command: Sequence[str],
    jobs: int = 1,
    offline: bool = False,
    verify_cache: bool = False,
    on: str = "local",
) -> Experiment:
    """Make the folder of a sweep.

    Args:
        search: What it searches.
        path: The recipe's file.
        profile: The profile that was applied; None for none.
        runs_dir: The folder of all runs.
        command: The command line, to be written down.
        jobs: How many runs go on at once.
        offline: Whether the runs make no network call.
        verify_cache: Whether the runs recompute some cached features.
        on: The target of the runs (`ftapp.launchers.target`).

    Returns:
        The sweep.

    Raises:
        RecipeError: A package that the recipe needs is not installed.
        OSError: The folder cannot be made.
    """
    check_installed(search.base)
    return experiment_creation.create(
        path.stem,
        profile,
        search.to_toml(),
        [OWN],
        search.sweep.repeats,
        jobs,
        runs_dir,
        offline=offline,
        verify_cache=verify_cache,
        on=on,
        command=list(command),
        hubless_profiles=recipes.list_hubless_profiles(path),
        sweep={"planned": search.most_runs, "searched": 0.0},
    )


def read_value(recipe: Recipe, key: str) -> Any:
    """Read the value of a dotted key of a recipe, in which phases are found by their names; None where it has none.

    Args:
        recipe: The recipe.
        key: The key.
    """
    tables: Any = recipe.to_tables()
    tables["phase"] = {phase["name"]: phase for phase in tables["phase"]}
    for part in key.split("."):
        tables = tables.get(part) if isinstance(tables, Mapping) else None
    return tables


def apply_values(experiment: Experiment, values: Mapping[str, Any]) -> Recipe:
    """Make the recipe of a trial.

    Args:
        experiment: The sweep.
        values: The values to try, by key; none for the recipe's own.

    Raises:
        RecipeError: The values are not valid together.
    """
    return recipes.load(experiment.recipe_file, None, [format_override(key, value) for key, value in values.items()])
