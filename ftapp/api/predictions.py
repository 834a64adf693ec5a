"""Predictions of many files for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from ftapp import recipe as recipes
from ftapp.api.run import Run
from ftapp.api.runs import get_run_folder
from ftapp.api.wait_for import wait_for
from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.rpc.prediction_messages import PredictedRow, PredictQuestion
from ftapp.rpc.predictor_client import PredictorClient


def predict(
    run: Run | str | Path,
    inputs: Sequence[str | Path],
    *,
    column: str | None = None,
    top: int = 0,
    scores: bool = False,
    runs_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> list[PredictedRow]:
    """Predict files with the model of a run, as `ftapp predict` does. A helper process reads them and computes.

    All rows are kept in memory. For many gigabytes, use the command, which writes them as they come. To predict texts
    and arrays that are in memory, use `load_model(run).predict`.

    Args:
        run: The run, its folder, its name, the beginning of its name, or `last`.
        inputs: Files and folders: images, texts (.txt, one a line) and tables.
        column: The column of tables that holds texts or images; by default the column of the run's recipe.
        top: How many of the best classes come with each answer.
        scores: Whether the scores of all classes come with each answer.
        runs_dir: The folder of all runs.
        progress: Called with the activity in words, the work done, and the work in all (None where not known).

    Returns:
        A row for each input, in order, with `name`, `answer`, `answer_scores`, and `problem`, which says why an input
        has no answer.

    Raises:
        RecipeError: There is no such run, or an input cannot be read.
        RunError: There is no such file, the run has no model, or the model writes text.
        TypeError: One file came in place of a list.
    """
    if isinstance(inputs, str | Path):
        raise TypeError(f"'{inputs}' came in place of a list; give one, such as ['{inputs}']")
    folder = get_run_folder(run, runs_dir)
    paths = [Path(each).expanduser().absolute() for each in inputs]
    if missing := [path for path in paths if not (path.is_file() or path.is_dir())]:
        raise RunError(f"there is no file or folder '{missing[0]}'")
    question = PredictQuestion(
        inputs=[(str(path), str(given)) for path, given in zip(paths, inputs, strict=True)],
        column=column,
        top=top,
        scores=scores,
    )

    async def ask() -> list[PredictedRow]:
        rows: list[PredictedRow] = []
        async with (
            PredictorClient(recipes.load(folder.recipe_file), folder.folder, offline=True) as client,
            aclosing(client.predict(question, progress)) as parts,
        ):
            async for part in parts:
                rows += part.rows
        return rows

    return wait_for(ask())
