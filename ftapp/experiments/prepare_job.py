"""A recipe as a job: a run, an experiment where it has arms, folds or repeats, or a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ftapp.experiments import experiment_creation
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.options import Options
from ftapp.runs.environment import check_installed
from ftapp.runs.starting import RunStart, make_run


def make_label(path: Path, profile: str | None) -> str:
    """Make the name of a recipe with its profile, as lists show it.

    Args:
        path: The recipe's file.
        profile: The name of a profile; None for none.
    """
    return f"{path.stem} ({profile})" if profile else path.stem


def prepare_job(
    path: Path,
    profile: str | None,
    overrides: Sequence[str],
    options: Options,
    runs_dir: Path,
    *,
    command: Sequence[str],
    offline: bool = False,
    on: str = "local",
) -> RunStart | Experiment:
    """Make the folder of a run, of an experiment where there are arms, folds or repeats, or of a sweep.

    The arguments and errors are those of `experiment_creation.prepare`; `options` may ask for a sweep too.

    Returns:
        The run or the experiment, ready to start.
    """
    from ftapp import recipe  # here, since lists of runs, which are shown first, need none of it

    options.check()
    if options.sweep:
        from ftapp.experiments.sweep.prepare import prepare_sweep
        from ftapp.experiments.sweep.search import load_search

        search = load_search(path, profile, overrides, arm=options.arm)
        return prepare_sweep(
            search, path, profile, runs_dir, command=command, jobs=options.jobs, offline=offline, on=on
        )
    loaded = recipe.load_experiment(path, profile, overrides)
    if loaded.is_experiment or options.given:
        return experiment_creation.prepare(
            path, profile, overrides, options, runs_dir, command=command, offline=offline, on=on
        )
    check_installed(loaded.base)
    return make_run(
        loaded.base,
        path.stem,
        runs_dir,
        command=command,
        profile=profile,
        hubless_profiles=recipe.list_hubless_profiles(path),
        offline=offline,
    )
