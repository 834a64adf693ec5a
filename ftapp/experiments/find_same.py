"""The experiment that the same command goes on with, as a batch script that is submitted again and again has it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ftapp.common.safe_files import UNREADABLE, read_bytes
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.experiment_lookup import list_experiments
from ftapp.recipe.raw_tables import DESCRIPTIVE_KEYS
from ftapp.runs.resuming import ENDED_EARLY


def find_same(runs_dir: Path, text: str, *, is_sweep: bool = False, **facts: Any) -> Experiment | None:
    """Find the newest experiment or sweep of a recipe that has not come to its end.

    Args:
        runs_dir: The folder of all runs.
        text: The recipe with its arms, or of a sweep, as TOML; one in the folder may have another title and summary.
        is_sweep: Whether a sweep is looked for.
        facts: What else has to be the same, by name.

    Returns:
        The experiment, which no process carries out; None where there is none.
    """
    wanted = _identify(text)
    for experiment in list_experiments(runs_dir):
        known = experiment.facts
        if ("sweep" in known) is not is_sweep or any(known.get(name) != value for name, value in facts.items()):
            continue
        try:
            is_same = _identify(read_bytes(experiment.recipe_file).decode()) == wanted
        except (OSError, *UNREADABLE):
            continue
        if is_same and not experiment.alive() and is_unfinished(experiment):
            return experiment
    return None


def is_unfinished(experiment: Experiment) -> bool:
    """Return whether an experiment or a sweep has something left to do, once no process carries it out.

    Args:
        experiment: The experiment.
    """
    if experiment.damage() or experiment.refusal:
        return False
    if experiment.is_sweep:
        return experiment.facts["sweep"].get("status", "crashed") in ENDED_EARLY
    if len(experiment.facts.get("runs", [])) < experiment.planned:
        return True
    return any(member.run.status() in ENDED_EARLY for member in experiment.list_members())


def _identify(text: str) -> dict[str, Any]:
    """Return all of a recipe that decides what its runs come to. Raises a ValueError where it is no TOML."""
    return {key: value for key, value in tomllib.loads(text).items() if key not in DESCRIPTIVE_KEYS}
