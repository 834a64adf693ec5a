"""Finding experiments: the list of those beside the runs, and an experiment by its name."""

from __future__ import annotations

from pathlib import Path

from ftapp.common.safe_files import is_file
from ftapp.experiments.experiment_folder import FOLDER, Experiment
from ftapp.runs.run_lookup import list_folders, make_folder_key

_FACTS = "experiment.json"


def make_experiment_key(experiment: Experiment) -> tuple[str, str, str]:
    """Make the key by which an experiment is sorted among experiments and runs: by when it was made."""
    return make_folder_key(experiment.folder.parent, experiment.folder.name, _FACTS)


def list_experiments(runs_dir: Path) -> list[Experiment]:
    """List the experiments beside the runs, the newest first."""
    place = (runs_dir / FOLDER).absolute()
    return [Experiment(place / name) for name in list_folders(place, _FACTS, _FACTS)]


def find(name: str, runs_dir: Path) -> Experiment | None:
    """Find an experiment.

    Args:
        name: Its folder, or its name beside the runs.
        runs_dir: The folder of all runs.

    Returns:
        The experiment; None when there is none of that name.
    """
    for folder in (Path(name), runs_dir / FOLDER / name):
        if is_file(folder / _FACTS):
            return Experiment(folder.absolute())
    return None
