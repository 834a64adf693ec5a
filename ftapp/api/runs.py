"""Runs that scripts and notebooks start, resume and find."""

from __future__ import annotations

import sys
from pathlib import Path

from ftapp import recipe as recipes
from ftapp.api.recipes import Overrides, get_recipe
from ftapp.api.run import Run
from ftapp.common import user_folders
from ftapp.common.errors import RunError
from ftapp.experiments.arms import make_slug
from ftapp.experiments.find_run import find_run as find_folder
from ftapp.launchers.choose import choose_target, find_former, make_launcher
from ftapp.recipe import Recipe
from ftapp.runs import run_folder, run_lookup
from ftapp.runs.environment import check_installed
from ftapp.runs.starting import make_run, prepare_resume


def run(
    recipe: str | Path | Recipe,
    *,
    profile: str | None = None,
    overrides: Overrides = (),
    name: str | None = None,
    runs_dir: str | Path | None = None,
    offline: bool = False,
    verify_cache: bool = False,
    max_seconds: float | None = None,
    on: str | None = None,
) -> Run:
    """Start a run of a recipe in a process of its own, as `ftapp run` does.

    Args:
        recipe: The name of a recipe, the path of a TOML file, or a recipe of `load_recipe`.
        profile: The name of a profile; only beside a name or path.
        overrides: Changes of the recipe, as `load_recipe` takes them; only beside a name or path.
        name: What to call the run; by default the recipe's name. It becomes a part of the folder's name.
        runs_dir: The folder of all runs; by default the one of `ftapp run`.
        offline: Whether the run makes no network call.
        verify_cache: Whether the run recomputes some cached features and compares them.
        max_seconds: After how many seconds the run saves its state and ends as unfinished.
        on: Where the run goes: `local`, `slurm:PARTITION`, `ray://HOST`, or a name from `settings.toml`.

    Returns:
        The run, which goes on. `Run.wait` waits for its result.

    Raises:
        RecipeError: The recipe has problems, or is an experiment; or its target does not exist.
        RunError: `max_seconds` is not above 0, or the target has refused the run.
        OSError: The folder of runs cannot be written.
    """
    _check_seconds(max_seconds)
    resolved = get_recipe(recipe, profile, overrides)
    check_installed(resolved)
    launcher = make_launcher(choose_target(on))
    path = None if isinstance(recipe, Recipe) else recipes.find(str(recipe))
    start = make_run(
        resolved,
        make_slug(name or (path.stem if path else resolved.title)) or "recipe",
        user_folders.runs(_make_path(runs_dir)),
        command=sys.argv,
        profile=profile,
        hubless_profiles=recipes.list_hubless_profiles(path) if path else [],
        offline=offline,
        verify_cache=verify_cache,
        max_seconds=max_seconds,
    )
    start.start(launcher)
    return Run(start.run.folder)


def resume(
    run: Run | str | Path,
    *,
    steps: int = 0,
    epochs: int = 0,
    anyway: bool = False,
    runs_dir: str | Path | None = None,
    offline: bool = False,
    max_seconds: float | None = None,
    on: str | None = None,
) -> Run:
    """Go on with a run from its newest checkpoint, to the weights of a run that was never interrupted.

    Args:
        run: The run, its folder, its name, the beginning of its name, or `last`.
        steps: Train the last phase for so many steps more.
        epochs: Train the last phase for so many epochs more; not beside `steps`.
        anyway: Go on with other versions of the libraries too, although not exactly.
        runs_dir: The folder of all runs.
        offline: Whether the run makes no network call.
        max_seconds: After how many seconds the run saves its state and ends as unfinished.
        on: Where the run goes: `local`, `slurm:PARTITION`, `ray://HOST`, or a name from `settings.toml`.

    Returns:
        The run, which goes on.

    Raises:
        RecipeError: There is no such run, or its recipe cannot be read.
        RunError: The run goes on already, has nothing left to do, or cannot go on exactly; or `max_seconds` is not
            above 0.
        OSError: Its folder cannot be written.
    """
    _check_seconds(max_seconds)
    files = get_run_folder(run, runs_dir)
    launcher = make_launcher(choose_target(on, find_former(files)))
    start = prepare_resume(files, steps=steps, epochs=epochs, anyway=anyway, offline=offline, max_seconds=max_seconds)
    start.start(launcher)
    return Run(files.folder)


def find_run(name: str | Path = "last", *, runs_dir: str | Path | None = None) -> Run:
    """Find a run.

    Args:
        name: Its folder, its name or the beginning of it, or `last` for the newest.
        runs_dir: The folder of all runs.

    Raises:
        RecipeError: There is no such run; the error names the nearest.
    """
    return Run(get_run_folder(name, runs_dir).folder)


def list_runs(*, runs_dir: str | Path | None = None) -> list[Run]:
    """List all runs, the newest first."""
    return [Run(each.folder) for each in run_lookup.list_runs(user_folders.runs(_make_path(runs_dir)))]


def get_run_folder(run: Run | str | Path, runs_dir: str | Path | None) -> run_folder.RunFolder:
    """Return the folder of a run that is given in any way.

    Args:
        run: The run, its folder, its name, the beginning of its name, or `last`.
        runs_dir: The folder of all runs.

    Raises:
        RecipeError: There is no such run; the error names the nearest.
    """
    if isinstance(run, Run):
        return run_folder.RunFolder(run.folder)
    return find_folder(str(run), _make_path(runs_dir))


def _make_path(runs_dir: str | Path | None) -> Path | None:
    return None if runs_dir is None else Path(runs_dir).expanduser()


def _check_seconds(max_seconds: float | None) -> None:
    if max_seconds is not None and not max_seconds > 0:
        raise RunError(f"max_seconds is a number above 0; got {max_seconds}; None sets no limit")
