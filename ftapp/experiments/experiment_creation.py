"""Making the folders of new experiments."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftapp.common.durable import replace_file
from ftapp.common.person import Person
from ftapp.experiments.arms import add_control
from ftapp.experiments.experiment_folder import FOLDER, Experiment
from ftapp.experiments.options import Options
from ftapp.runs.environment import check_installed
from ftapp.runs.run_creation import make_new_folder


def create(
    name: str,
    profile: str | None,
    text: str,
    arms: Sequence[str],
    repeats: int,
    jobs: int,
    runs_dir: Path,
    **facts: Any,
) -> Experiment:
    """Make a new experiment's folder.

    Args:
        name: The recipe's name.
        profile: The profile that was applied; None for none.
        text: The recipe with its arms as TOML.
        arms: The names of the arms, a control included.
        repeats: How many seeds each arm is run with.
        jobs: How many runs go at once.
        runs_dir: The folder of all runs.
        facts: Other facts to write down.

    Returns:
        The experiment.
    """
    made = Experiment(make_new_folder(runs_dir / FOLDER, name, profile))
    replace_file(made.recipe_file, text.encode())
    made.write_facts(
        {
            **{"recipe": name, "profile": profile, "owner": Person.read().name, "arms": list(arms)},
            **{"repeats": repeats, "jobs": jobs, **facts},
            **{"created": time.time(), "runs": []},
        }
    )
    return made


def prepare(
    path: Path,
    profile: str | None,
    overrides: Sequence[str],
    options: Options,
    runs_dir: Path,
    *,
    command: Sequence[str],
    offline: bool = False,
    verify_cache: bool = False,
    on: str = "local",
) -> Experiment:
    """Make the folder of an experiment with a recipe's arms; a recipe without arms is its only arm.

    Args:
        path: The recipe's file.
        profile: The name of a profile; None for none.
        overrides: Texts `key=value`.
        options: Repeats, jobs and control.
        runs_dir: The folder of all runs.
        command: The command line, to be written down.
        offline: Whether the runs make no network call.
        verify_cache: Whether the runs recompute some cached features.
        on: The target of the runs (`ftapp.launchers.target`).

    Returns:
        The experiment.

    Raises:
        RecipeError: The recipe or the options are refused, or a package that the recipe needs is not installed.
        OSError: The folder cannot be made.
    """
    from ftapp import recipe  # here, since lists of runs need none of it

    options.check()
    loaded = recipe.load_experiment(path, profile, overrides)
    for each in (loaded.base, *loaded.arms.values()):
        check_installed(each)
    names = list(add_control(loaded.arms or {path.stem: loaded.base}, options.control))
    facts = {"control": options.control, "offline": offline, "verify_cache": verify_cache, "command": list(command)}
    facts |= {"on": on, "folds": loaded.folds, "hubless_profiles": recipe.list_hubless_profiles(path)}
    return create(path.stem, profile, loaded.to_toml(), names, options.repeats, options.jobs, runs_dir, **facts)
