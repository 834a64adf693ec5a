"""Exports of a run's model for scripts and notebooks."""

from __future__ import annotations

from pathlib import Path

from ftapp.api.run import Run
from ftapp.api.runs import get_run_folder
from ftapp.api.wait_for import wait_for
from ftapp.common.downloads import Progress
from ftapp.rpc.export_client import ExportChoice, ExportClient, find_export_folder
from ftapp.rpc.messages import Exported


def export(
    run: Run | str | Path,
    to: str,
    folder: str | Path | None = None,
    *,
    int8: bool = False,
    examples: int = 50,
    force: bool = False,
    runs_dir: str | Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Export the model of a finished run to another runtime, as `ftapp export` does.

    A helper process writes the export. The export's own runtime then answers test examples, and its answers are
    compared with those of the model.

    Args:
        run: The run, its folder, its name, the beginning of its name, or `last`.
        to: The format: keras-hub, saved_model, onnx, openvino, litert, torch or transformers.
        folder: The folder of the export; by default `export/FORMAT` in the run's folder.
        int8: Whether the export is quantized to int8 (openvino, litert).
        examples: How many test examples are compared at most; 0 for no check.
        force: Whether an export that is there is replaced.
        runs_dir: The folder of all runs.
        offline: Whether the process makes no network call.
        progress: Called with the activity in words, the work done, and the work in all (None where not known).

    Returns:
        The export, with `folder`, `files` (bytes by name), `notes` and `check` (`agreeing` of `examples`, and the
        largest `difference`).

    Raises:
        RecipeError: There is no such run.
        RunError: The format is unknown or does not suit the model, a package is missing, the folder holds something
            else, or the answers of the export are not those of the model.
    """
    source = get_run_folder(run, runs_dir).folder
    place = Path(folder).expanduser().absolute() if folder else find_export_folder(source, to, int8=int8)
    choice = ExportChoice(to, place, int8, examples, force)
    choice.check()

    async def ask() -> Exported:
        async with ExportClient(source, offline=offline) as client:
            return await client.export(choice, progress)

    return wait_for(ask())
