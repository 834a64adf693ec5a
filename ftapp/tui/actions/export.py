"""The export of a run's model from the interface: its form, and its job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ftapp.common.downloads import Progress
from ftapp.common.formatting import format_size
from ftapp.experiments.trash import measure_size
from ftapp.rpc.export_client import ExportChoice, ExportClient, describe_export
from ftapp.rpc.messages import Exported
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.dialogs.export_form import ExportForm
from ftapp.tui.jobs import BackgroundJob, JobResult

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp


async def export(app: FtApp, run: RunFolder) -> None:
    """Ask for a format and a folder, and export a run's model. Called by a worker of the app.

    Args:
        app: Shows the form, and does the job.
        run: A run with a model.
    """
    size = await asyncio.to_thread(measure_size, run.model_folder)
    choice = await app.push_screen_wait(ExportForm(run.folder, f"the model: {format_size(size)}"))
    if choice is None:
        return

    async def work(progress: Progress) -> JobResult:
        return await _export(run, choice, offline=app.offline, progress=progress)

    kept = f"Nothing was written to {choice.folder}."
    app.start_job(BackgroundJob(f"Export of {run.folder.name} to {choice.to}", work, kept))


async def _export(run: RunFolder, choice: ExportChoice, *, offline: bool, progress: Progress) -> JobResult:
    async with ExportClient(run.folder, offline=offline) as client:
        made = await client.export(choice, progress)
    facts = describe_export(made)
    return JobResult(choice.folder, facts, _summarize(made, facts))


def _summarize(made: Exported, facts: dict[str, str]) -> str:
    if made.check is None:
        return "Exported. The answers were not compared with those of the model."
    return f"Exported. Equal answers: {facts['equal answers']}. Largest difference: {facts['largest difference']}."
