"""Predictions of many inputs from the interface: their form, and their job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ftapp import recipe as recipes
from ftapp.common.downloads import Progress
from ftapp.common.errors import RecipeError
from ftapp.common.formatting import format_quantity, format_size
from ftapp.recipe import TASKS
from ftapp.rpc.prediction_rows import predict_to_file
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.dialogs.predict_form import PredictChoice, PredictForm
from ftapp.tui.jobs import BackgroundJob, JobResult

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp


async def predict(app: FtApp, run: RunFolder) -> None:
    """Ask for inputs and an output, and predict with a run's model. Called by a worker of the app.

    Args:
        app: Shows the form, and does the job.
        run: A run with a model.
    """
    try:
        recipe = await asyncio.to_thread(recipes.load, run.recipe_file)
    except RecipeError as error:
        app.notify(str(error), severity="error")
        return
    task = TASKS[recipe.task]
    if task.writes:
        app.notify(
            f"The model of {run.folder.name} writes texts. t tries it, and `ftapp generate` continues many prompts.",
            severity="warning",
        )
        return
    choice = await app.push_screen_wait(PredictForm(run.folder.name, task))
    if choice is None:
        return
    if choice.output.exists():
        text = f"{choice.output} exists. The whole file is replaced."
        if await app.push_screen_wait(Dialog("Replace the file?", text, ["Replace", "Cancel"])) != "Replace":
            return

    async def work(progress: Progress) -> JobResult:
        return await _predict(run, choice, progress)

    kept = f"Rows that were written stay in {choice.output}.partial, where the same prediction goes on."
    app.start_job(BackgroundJob(f"Predictions with {run.folder.name}", work, kept))


async def _predict(run: RunFolder, choice: PredictChoice, progress: Progress) -> JobResult:
    counts = await predict_to_file(run, choice.question, choice.output, progress, anew=choice.anew)
    size = await asyncio.to_thread(lambda: choice.output.stat().st_size)
    facts = {
        "file": str(choice.output.absolute()),
        "size": format_size(size),
        "inputs": f"{counts.inputs:,}",
        "without an answer": f"{counts.problems:,}; the column error says why" if counts.problems else "0",
    }
    summary = f"{format_quantity(counts.inputs, 'input')} in {choice.output.name}"
    summary += f", {counts.problems:,} of them without an answer." if counts.problems else "."
    return JobResult(choice.output, facts, summary, is_doubtful=counts.problems > 0)
