"""The run that a command or a script is about, by the name that its user gives."""

from __future__ import annotations

from pathlib import Path

from ftapp.common import user_folders
from ftapp.common.errors import Problem, RecipeError
from ftapp.experiments import experiment_lookup, trash
from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs import run_lookup
from ftapp.runs.run_folder import RunFolder


def find_run(name: str, runs_dir: Path | None) -> RunFolder:
    """Find a run that was not deleted.

    Args:
        name: Its folder, its name or the beginning of it, or last (`ftapp.runs.run_lookup.find`).
        runs_dir: The folder of all runs, if one is chosen.

    Raises:
        RecipeError: There is no such run. The error says so where the name is of an experiment or of a deleted run.
    """
    folder = user_folders.runs(runs_dir)
    place = Path(name).absolute()
    for deleted in trash.list_deleted(folder):
        if deleted.folder == place or (deleted.folder.name == name and not deleted.place.exists()):
            raise RecipeError(
                [Problem("", "", f"'{name}' is deleted; 'ftapp runs --restore {deleted.folder.name}' restores it")]
            )
    if experiment := experiment_lookup.find(name, folder):
        raise RecipeError([Problem("", "", f"'{name}' is {_describe(experiment)}")])
    return run_lookup.find(name, folder)


def _describe(experiment: Experiment) -> str:
    """Say what an experiment is, and which of its runs can be chosen."""
    members = experiment.list_members()
    result = (experiment.read_result() or {}).get("sweep") or {}
    if winner := next((each.run.folder.name for each in members if each.arm == result.get("winner")), None):
        return f"a sweep; choose one of its runs, such as that of its winner, {winner}"
    kind = "a sweep, and 'ftapp sweep --resume' goes on with it" if experiment.is_sweep else "an experiment"
    return f"{kind}; choose one of its runs: {', '.join(each.run.folder.name for each in members) or 'none yet'}"
