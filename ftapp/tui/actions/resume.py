"""Resuming a run, an experiment or a sweep from the interface: the questions, and the start of the process."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from ftapp import recipe as recipes
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.formatting import format_quantity
from ftapp.common.safe_files import describe_error, explain_lost_folder
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.sweep.search import check_optuna
from ftapp.launchers.choose import choose_target, find_former, make_launcher
from ftapp.recipe import Recipe
from ftapp.runs import resuming
from ftapp.runs.checkpoints import ResumePoint
from ftapp.runs.environment import check_installed
from ftapp.runs.history import History
from ftapp.runs.launcher import LocalLauncher
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.starting import make_resume
from ftapp.tui.dialogs.ask import Ask
from ftapp.tui.dialogs.dialog import Dialog

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp

_LOOK_SECONDS = 0.5


async def resume(app: FtApp, run: RunFolder) -> bool:
    """Start the process of a run again, after the questions that it needs. Called by a worker of the app.

    Args:
        app: Asks the questions, and shows why the run cannot be resumed.
        run: The run, whose process has ended.

    Returns:
        Whether the process was started.
    """
    try:
        recipe = await asyncio.to_thread(recipes.load, run.recipe_file)
        check_installed(recipe)
        history = await asyncio.to_thread(run.history)
        longer = None
        if run.status(history) == "done":
            longer = await _ask_for_length(app, recipe, history)
            if longer is None:
                return False
        point = await asyncio.to_thread(partial(resuming.check_resumable, run, anyway=True))
        if not await _confirm(app, point, len(history.steps)):
            return False
        start = make_resume(run, longer=longer, anyway=bool(point.differences), offline=app.offline)
        target = await asyncio.to_thread(choose_target, None, find_former(run))
        await asyncio.to_thread(start.start, make_launcher(target))
    except (OSError, RecipeError, RunError) as error:
        app.notify(describe_error(error), title="This run cannot be resumed", severity="error", timeout=12)
        return False
    begun = f"The run continues after step {point.facts.step}." if point.facts else "The run begins again."
    app.notify("\n".join([begun, *point.notes]), title="Resumed", severity="warning" if point.notes else "information")
    return True


async def _ask_for_length(app: FtApp, recipe: Recipe, history: History) -> Recipe | None:
    """Ask for the further steps of a run that is done: the longer recipe, or None for no answer."""

    def find_wrong(text: str) -> str | None:
        valid = text.strip().isdecimal() and int(text) > 0
        return None if valid else f"'{text}' is not a number of steps; it is a whole number above 0, such as 100"

    last = recipe.phase[-1].name
    answer = await app.push_screen_wait(Ask(f"The run is done. Further steps of phase {last}", "100", find_wrong))
    return None if answer is None else resuming.lengthen_last_phase(recipe, history, steps=int(answer))


async def _confirm(app: FtApp, point: ResumePoint, steps: int) -> bool:
    """Ask where the run would lose its steps, or would not go on exactly."""
    if point.facts is None and steps:
        text = "\n".join([*point.notes, "No checkpoint can be used. The run would begin again from its first step."])
        dialog = Dialog(f"Make {format_quantity(steps, 'step')} again?", text, ["Begin again", "Cancel"])
    elif point.differences:
        found = "\n".join(f"- {difference}" for difference in point.differences)
        text = f"{found}\n\nThe weights would differ from those of an uninterrupted run, and the run would say so."
        dialog = Dialog("Resume although not exactly?", text, ["Resume", "Cancel"])
    else:
        return True
    return await app.push_screen_wait(dialog) in ("Begin again", "Resume")


async def resume_experiment(app: FtApp, experiment: Experiment) -> bool:
    """Start the process of an experiment or a sweep again, which takes up what is in its folder.

    Args:
        app: Shows why it cannot go on.
        experiment: The experiment or the sweep, whose process has ended.

    Returns:
        Whether the process was started.
    """
    try:
        if lost := explain_lost_folder(experiment.folder):
            raise RunError(lost)
        if experiment.is_sweep:
            check_optuna()
        await asyncio.to_thread(LocalLauncher().start, experiment, {}, experiment.forget_stop)
    except (OSError, RecipeError, RunError) as error:
        what = "sweep" if experiment.is_sweep else "experiment"
        app.notify(describe_error(error), title=f"This {what} cannot go on", severity="error", timeout=12)
        return False
    return True


async def await_refused_resume(app: FtApp, run: RunFolder, begun: float) -> None:
    """Tell why a run did not go on, whatever the screen. Called by a worker of the app.

    Args:
        app: Shows the reason.
        run: The run that was resumed.
        begun: The time of its last event before.
    """
    while await asyncio.to_thread(run.alive):
        await asyncio.sleep(_LOOK_SECONDS)
    if reason := resuming.find_refusal(await asyncio.to_thread(run.history), begun):
        app.notify(reason, title="This run cannot be resumed", severity="error", timeout=12)
