"""`ftapp run`: starts each recipe's process, narrates it on stderr from its events, and prints the result on stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftapp import recipe
from ftapp.cli import activity
from ftapp.cli.follow_run import follow_run
from ftapp.cli.run_result import tell_outcome
from ftapp.common import user_folders
from ftapp.common.errors import RecipeError
from ftapp.recipe import Recipe, cautions
from ftapp.runs import run_folder
from ftapp.runs.environment import make_environment
from ftapp.runs.history import History
from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import Launcher, LocalLauncher
from ftapp.runs.outcome import summarize_outcome
from ftapp.runs.run_folder import EXIT_CODES


def run_all(
    names: Sequence[str],
    profile: str | None,
    overrides: Sequence[str],
    runs_dir: Path | None,
    *,
    as_json: bool,
    offline: bool,
    verify_cache: bool,
    debug: bool,
) -> int:
    """Run recipes one after another.

    All are checked before the first one starts. Those that are refused are left out, and the others run.

    Args:
        names: Recipes' names or files.
        profile: A profile of each, if any.
        overrides: KEY=VALUE each.
        runs_dir: The folder of all runs, if one is chosen.
        as_json: Whether results are printed as JSON, one line each.
        offline: Whether the runs make no network call.
        verify_cache: Whether the runs recompute some cached features.
        debug: Whether the output of runs that did not end well is shown.

    Returns:
        The exit code: 130 if interrupted, else 1 if any run failed, else 2 if any recipe was refused, else 0.
    """
    loaded: dict[str, tuple[Path, Recipe] | None] = {}
    for name in dict.fromkeys(names):
        try:
            path = recipe.find(name)
            resolved = recipe.load(path, profile, overrides)
            activity.check([resolved])
            loaded[name] = path, resolved
        except RecipeError as error:
            loaded[name] = None
            print(error, file=sys.stderr)
    folder = user_folders.runs(runs_dir)
    codes = []
    launcher = LocalLauncher()
    with Interruption(launcher) as interruption:
        for name in names:
            if interruption.requested:
                break
            if (found := loaded[name]) is None:
                outcome = _make_refused(name)
            else:
                path, resolved = found
                try:
                    environment = make_environment(resolved.backend, offline=offline, verify_cache=verify_cache)
                    outcome = _run_one(
                        path, resolved, profile, folder, environment, launcher, interruption, debug=debug
                    )
                except OSError as error:
                    print(f"the folder of runs, {folder}, cannot be written: {error.strerror}", file=sys.stderr)
                    outcome, found = _make_refused(name), None
            codes.append(EXIT_CODES[outcome["status"]])
            if as_json or found is not None:
                tell_outcome(outcome, as_json=as_json)
            if outcome["status"] == "interrupted":
                break
    return 130 if interruption.requested else next((code for code in (130, 1, 2) if code in codes), 0)


def _run_one(
    path: Path,
    resolved: Recipe,
    profile: str | None,
    folder: Path,
    environment: Mapping[str, str],
    launcher: Launcher,
    interruption: Interruption,
    *,
    debug: bool,
) -> dict[str, Any]:
    facts = {"command": sys.argv, "hubless_profiles": recipe.list_hubless_profiles(path)}
    run = run_folder.create(resolved, path.stem, profile, folder, **facts)
    notes = [f"caution: {caution}" for caution in cautions.find_cautions(resolved)]
    return follow_run(run, path.stem, resolved, environment, launcher, interruption, notes, debug=debug)


def _make_refused(name: str) -> dict[str, Any]:
    """Make the outcome of a recipe that was not run."""
    found = {"recipe": Path(name).stem, "run": None, "status": "refused", "model": None}
    return found | History().summary() | summarize_outcome(History())
