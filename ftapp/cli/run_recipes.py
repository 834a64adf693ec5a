"""`ftapp run`: starts each recipe's process, narrates it on stderr from its events, and prints the result on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftapp import recipe
from ftapp.cli.follow_run import follow_run
from ftapp.common import user_folders
from ftapp.common.errors import RecipeError, RunError
from ftapp.launchers.choose import make_launcher
from ftapp.launchers.target import LaunchTarget
from ftapp.recipe import Recipe, cautions
from ftapp.runs.annotation import Annotations
from ftapp.runs.environment import check_installed
from ftapp.runs.exit_codes import EXIT_CODES, combine_exit_codes
from ftapp.runs.history import History
from ftapp.runs.interruption import Interruption
from ftapp.runs.outcome import summarize_outcome
from ftapp.runs.resuming import check_resumable, find_same
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.starting import RunStart, explain_fetched, make_resume, make_run


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
    annotations: Annotations,
    target: LaunchTarget,
    max_seconds: float | None = None,
    resume: bool = False,
) -> int:
    """Run recipes one after another.

    All are checked before the first one starts. Those that are refused are left out, and the others run. The data of a
    single recipe are checked by its run, which reads them first of all.

    Args:
        names: Recipes' names or files.
        profile: A profile of each, if any.
        overrides: KEY=VALUE each.
        runs_dir: The folder of all runs, if one is chosen.
        as_json: Whether results are printed as JSON, one line each.
        offline: Whether the runs make no network call.
        verify_cache: Whether the runs recompute some cached features.
        annotations: The tags and the note of new runs.
        target: Where the runs go.
        debug: Whether the output of runs that did not end well is shown.
        max_seconds: After how many seconds each run ends itself, if at all.
        resume: Whether a run of the same recipe that has not come to its end goes on.

    Returns:
        The exit code: 130 if interrupted, else 75 if unfinished, else 1 if any run failed, else 2 if any recipe was
        refused, else 0.
    """
    loaded: dict[str, tuple[Path, Recipe] | None] = {}
    for name in dict.fromkeys(names):
        try:
            path = recipe.find(name)
            resolved = recipe.load(path, profile, overrides)
            check_installed(resolved)
            if len(names) > 1:
                from ftapp.cli import activity

                activity.check([resolved])
            loaded[name] = path, resolved
        except RecipeError as error:
            loaded[name] = None
            print(error, file=sys.stderr)
    folder = user_folders.runs(runs_dir)
    how: dict[str, Any] = {"offline": offline, "verify_cache": verify_cache, "max_seconds": max_seconds}
    codes = []
    launcher = make_launcher(target)
    with Interruption(launcher) as interruption:
        for name in names:
            if interruption.status:
                codes.append(EXIT_CODES[interruption.status])
                break
            if (found := loaded[name]) is None:
                outcome, code = _make_refused(name), EXIT_CODES["refused"]
            else:
                path, resolved = found
                try:
                    former = _find_same(folder, resolved) if resume else None
                    start = (
                        make_resume(former, **how)
                        if former
                        else _make_run(path, resolved, profile, folder, annotations=annotations, **how)
                    )
                    notes = (
                        explain_fetched(former, max_seconds=max_seconds)
                        if former
                        else [f"caution: {each}" for each in cautions.find_cautions(resolved)]
                    )
                    outcome = follow_run(start, launcher, interruption, notes, debug=debug)
                    code = launcher.wait(start.run)
                except RunError as error:
                    print(error, file=sys.stderr)
                    outcome, code = _make_refused(name), EXIT_CODES["refused"]
                except OSError as error:
                    print(f"the folder of runs, {folder}, cannot be written: {error.strerror}", file=sys.stderr)
                    outcome, code = _make_refused(name), EXIT_CODES["refused"]
            codes.append(code)
            if as_json or outcome["run"] is not None:
                from ftapp.cli.run_result import tell_outcome  # here, since nobody waits for tables at the start

                tell_outcome(outcome, as_json=as_json)
            if code in (EXIT_CODES["interrupted"], EXIT_CODES["unfinished"]):
                break
    return combine_exit_codes(codes)


def _find_same(folder: Path, resolved: Recipe) -> RunFolder | None:
    """Find a run of the same recipe that goes on, and say whether there is one.

    Raises:
        RunError: It would not go on exactly.
    """
    run = find_same(folder, resolved)
    if run is None:
        print(f"no run in {folder} has this recipe and can go on: a new one starts", file=sys.stderr)
        return None
    print(f"{run.folder.name} has this recipe and is {run.status()}: it goes on", file=sys.stderr)
    check_resumable(run, anyway=False)
    return run


def _make_run(path: Path, resolved: Recipe, profile: str | None, folder: Path, **how: Any) -> RunStart:
    hubless = recipe.list_hubless_profiles(path)
    return make_run(resolved, path.stem, folder, command=sys.argv, profile=profile, hubless_profiles=hubless, **how)


def _make_refused(name: str) -> dict[str, Any]:
    """Make the outcome of a recipe that was not run."""
    found = {"recipe": Path(name).stem, "run": None, "status": "refused", "model": None}
    return found | History().summary() | summarize_outcome(History())
