"""The request to export a run's model, and to check the export on the run's test split."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from ftapp import recipe as recipes
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.safe_files import explain_error
from ftapp.rpc.messages import Exported, ExportReport
from ftapp.rpc.server import Request
from ftapp.runs.export_formats import FORMATS
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.run_models import import_keras


def export(request: Request, run: str, to: str, folder: str, int8: bool, examples: int, replaces: bool) -> Exported:
    """Export the model of a run.

    Args:
        request: Receives the progress.
        run: The folder of the run.
        to: The format.
        folder: The folder of the export.
        int8: Whether the export is in int8.
        examples: How many test examples the export is checked on at most; 0 for no check.
        replaces: Whether a folder that is there is replaced.

    Raises:
        RunError: There is no model or no data, the model does not fit the format, or the export answers otherwise.
    """
    began = time.perf_counter()
    place = RunFolder(Path(run))
    if not (place.model_folder / "ftapp.json").is_file():
        raise RunError(f"there is no model in {place.model_folder}; a model can be exported once its run has saved it")
    FORMATS[to].check_installed(to, int8=int8)
    import_keras(request)
    from ftapp import data
    from ftapp.models import saved_model
    from ftapp.models.export.examples import choose_test_examples, encode_calibration
    from ftapp.models.export.request import ExportRequest
    from ftapp.models.export.write import write_export

    request.report_progress("loading the trained model")
    trained = saved_model.load(place.model_folder, in_float32=True)
    model = recipes.read(place.recipe_file)["model"]  # its data need not be there any more
    splits, chosen = None, None
    if examples or int8:
        try:
            splits = data.read(recipes.load(place.recipe_file), request.report_progress)
        except (RecipeError, RunError) as error:
            way = "int8 needs them too; leave out --int8 as well" if int8 else "without them nothing is compared"
            raise RunError(
                f"the export cannot be checked, since the run's data cannot be read: {error}; --examples 0 leaves "
                f"out the check ({way})"
            ) from error
    if examples and splits is not None:
        chosen = choose_test_examples(trained, splits, examples)
        if chosen is None:
            raise RunError("the run has no test split to check the export on; --examples 0 leaves out the check")
    asked = ExportRequest(
        preset=model["preset"],
        features=model.get("features"),
        folder=place.model_folder,
        trained=trained,
        int8=int8,
        calibration=encode_calibration(trained, splits) if int8 and splits is not None else [],
    )
    try:
        notes, check = write_export(asked, to, Path(folder), chosen, request.report_progress, replaces=replaces)
    except OSError as error:
        raise RunError(f"the export cannot be written to {folder}: {explain_error(error)}") from error
    files = [file for file in Path(folder).rglob("*") if file.is_file()]
    return Exported(
        format=to,
        int8=int8,
        folder=folder,
        files={str(file.relative_to(folder)): file.stat().st_size for file in sorted(files)},
        notes=tuple(notes),
        check=ExportReport(**asdict(check)) if check else None,
        seconds=time.perf_counter() - began,
    )
