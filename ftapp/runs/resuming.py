"""Going on with a run that was killed, stopped or has ended: whether it can, and from where."""

from __future__ import annotations

import math
import os
from pathlib import Path

from ftapp import recipe as recipes
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.formatting import format_quantity
from ftapp.recipe import Recipe
from ftapp.recipe.schedule import count_steps, lengthen
from ftapp.recipe.validation import say_unfilled
from ftapp.runs.checkpoints import ResumePoint, find_resume_point, hash_recipe, list_checkpoints
from ftapp.runs.history import History
from ftapp.runs.replay import find_damage, keep_commands
from ftapp.runs.rewind import restore_log, rewind_log
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_lookup import list_runs

COMMANDS_FROM = "FTAPP_COMMANDS_FROM"
"""The variable that tells a run's process where in `control.jsonl` the commands to it begin, in bytes."""
INEXACT = "FTAPP_RESUME_ANYWAY"
"""The variable that is 1 where a run may go on inexactly."""

ENDED_EARLY = ("unfinished", "interrupted", "crashed")
"""The statuses of runs, and of experiments, that ended before they were done."""

RESUMABLE = ("done", "failed", "pruned", *ENDED_EARLY)
"""The statuses of runs that can go on."""


def has_begun(run: RunFolder) -> bool:
    """Return whether a process has worked on the run before."""
    return bool(list_checkpoints(run)) or any(_size_of(file) for file in (run.events_file, run.former_events_file))


def find_same(folder: Path, recipe: Recipe) -> RunFolder | None:
    """Find the newest run of a recipe that has not come to its end. Runs of experiments are left alone.

    Args:
        folder: The folder of all runs.
        recipe: The resolved recipe; a run's may have another title and summary.

    Returns:
        The run, whose process has ended; None where there is none.
    """
    wanted = _identify(recipe)
    for run in list_runs(folder):
        try:
            is_same = _identify(recipes.load(run.recipe_file)) == wanted
        except RecipeError:
            continue
        has_ended = is_same and not run.alive() and run.environment().get("experiment") is None
        if has_ended and run.status() in ENDED_EARLY:
            return run
    return None


def _identify(recipe: Recipe) -> tuple[str, int | None, int | None]:
    """All of a recipe that decides the weights of its run."""
    last = recipe.phase[-1]
    return hash_recipe(recipe), last.steps, last.epochs


def check_resumable(run: RunFolder, *, anyway: bool) -> ResumePoint:
    """Find where a run goes on.

    Args:
        run: The run, whose process has ended.
        anyway: Whether it may go on inexactly.

    Raises:
        RecipeError: Its recipe cannot be read.
        RunError: It would not go on exactly.
    """
    point = find_resume_point(run, recipes.load(run.recipe_file))
    if damage := find_damage(run):
        point.differences.append(damage)
    if point.differences and not anyway:
        raise RunError(
            f"the run cannot go on exactly: {'; '.join(point.differences)}; `ftapp resume --anyway` goes on, and the "
            "run says so"
        )
    return point


def go_back(run: RunFolder) -> ResumePoint:
    """Take the run's log back to where it goes on. Called by the run's own process.

    Raises:
        RecipeError: Its recipe cannot be read.
        RunError: It would not go on exactly.
        OSError: Its folder cannot be written.
    """
    restore_log(run)
    run.events_file.touch()  # a log that was lost is an empty one
    point = check_resumable(run, anyway=os.environ.get(INEXACT) == "1")
    offset = point.facts.offset if point.facts else 0
    keep_commands(run, offset)
    rewind_log(run, offset)
    return point


def make_resume_environment(run: RunFolder, *, anyway: bool) -> dict[str, str]:
    """Return the variables with which the process of a run that goes on is started.

    Args:
        run: The run, whose process has ended.
        anyway: Whether it may go on inexactly.
    """
    return {COMMANDS_FROM: str(_size_of(run.control_file))} | ({INEXACT: "1"} if anyway else {})


def find_first_command(run: RunFolder) -> int:
    """Find where in `control.jsonl` the commands to this process of a run that goes on begin, in bytes."""
    return int(os.environ.get(COMMANDS_FROM) or _size_of(run.control_file))


def lengthen_last_phase(recipe: Recipe, history: History, *, steps: int = 0, epochs: int = 0) -> Recipe:
    """Make the last phase of a run longer.

    Args:
        recipe: The recipe of the run.
        history: The run so far.
        steps: By how many steps; 0 where `epochs` says it.
        epochs: By how many epochs.

    Returns:
        The longer recipe.

    Raises:
        RunError: The steps of an epoch are not known yet, or so much fills no updates of the phase.
    """
    last = recipe.phase[-1]
    examples = history.data.train if history.data else 0
    if not examples and (epochs or last.steps is None):
        raise RunError("the run has not read its data yet, so nobody knows the steps of an epoch; resume it first")
    length, per_epoch = count_steps(last, max(1, examples))
    if history.phases and history.phases[-1].phase == last.name:
        length = history.phases[-1].steps
    if steps % last.accumulate:
        raise RunError(say_unfilled(steps, last.accumulate))
    more = (steps or epochs * per_epoch) // last.accumulate * last.accumulate
    if not more:
        fitting = math.ceil(last.accumulate / per_epoch)
        raise RunError(
            f"an update takes {last.accumulate} batches, and {format_quantity(epochs, 'epoch')} more would bring "
            f"{epochs * per_epoch}; the least is {format_quantity(fitting, 'epoch')}"
        )
    return lengthen(recipe, length + more)


def find_refusal(history: History, since: float) -> str | None:
    """Find why a run did not go on.

    Args:
        history: The run, whose process has ended.
        since: The time of the last event before that process was started, in seconds since the Unix epoch.

    Returns:
        The note that the process has left; None where the run went on.
    """
    went_on = bool(history.resumed) and history.resumed[-1].time > since
    noted = history.notes[-1] if history.notes else None
    return noted.message if noted and noted.time > since and not went_on else None


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
