"""`ftapp run --replay`: repeats a run with the commands that it got, and compares the weights."""

from __future__ import annotations

import sys
from pathlib import Path

from ftapp import recipe as recipes
from ftapp.cli import activity
from ftapp.cli.follow_run import follow_run
from ftapp.cli.run_result import tell_outcome
from ftapp.common import user_folders
from ftapp.common.errors import RunError
from ftapp.common.formatting import format_quantity
from ftapp.experiments.find_run import find_run
from ftapp.launchers.choose import make_launcher
from ftapp.launchers.target import LaunchTarget
from ftapp.runs.history import History
from ftapp.runs.interruption import Interruption
from ftapp.runs.replay import list_all, list_doubts, write_commands
from ftapp.runs.starting import make_run


def replay_run(
    name: str, runs_dir: Path | None, target: LaunchTarget, *, as_json: bool, offline: bool, debug: bool
) -> int:
    """Run a run's recipe again, and carry out each of its commands at the same step.

    Args:
        name: The run's folder, its name or the beginning of it, or last.
        runs_dir: The folder of all runs, if one is chosen.
        target: Where the run goes.
        as_json: Whether the result is printed as JSON.
        offline: Whether the run makes no network call.
        debug: Whether the output of a run that did not end well is shown.

    Returns:
        The exit code: 0 if the weights equal those of the former run, else that of the run, but 1 if that is 0.

    Raises:
        RecipeError: There is no such run, or its recipe cannot be read.
        RunError: The former run goes on, or the folder of runs cannot be written.
    """
    former = find_run(name, runs_dir)
    recipe = recipes.load(former.recipe_file)
    activity.check([recipe])
    if former.alive():
        raise RunError(f"{former.folder.name} goes on; a run can be repeated once it has ended")
    history, facts = former.history(), former.environment()
    title = str(facts.get("recipe") or former.folder.name)
    commands = list_all(history)
    launcher = make_launcher(target)
    try:
        start = make_run(
            recipe,
            title,
            user_folders.runs(runs_dir),
            command=sys.argv,
            profile=facts.get("profile"),
            hubless_profiles=facts.get("hubless_profiles", []),
            offline=offline,
        )
        write_commands(start.run, commands)
        with Interruption(launcher) as interruption:
            notes = [
                f"repeats {former.folder.name} with {format_quantity(len(commands), 'command')}",
                *list_doubts(former.folder.name, history, recipe),
            ]
            outcome = follow_run(start, launcher, interruption, notes, debug=debug)
    except OSError as error:
        raise RunError(f"the folder of runs cannot be written: {error.strerror}") from error
    is_equal = _compare(history, start.run.history())
    outcome["replays"] = {"run": former.folder.name, "equal": is_equal}
    tell_outcome(outcome, as_json=as_json)
    if is_equal is None:
        print("the weights cannot be compared, since one of the runs has saved none", file=sys.stderr)
    else:
        print(f"the weights {'equal' if is_equal else 'differ from'} those of {former.folder.name}", file=sys.stderr)
    return 0 if is_equal else launcher.wait(start.run) or (1 if is_equal is False else 0)


def _compare(former: History, again: History) -> bool | None:
    """Return whether two runs have the same weights; None where one of them has saved none."""
    hashes = [each.saved.weights if each.saved else "" for each in (former, again)]
    return hashes[0] == hashes[1] if all(hashes) else None
