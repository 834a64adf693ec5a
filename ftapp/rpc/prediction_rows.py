"""A prediction whose rows are written as they come: the request, and the file that goes on after an interruption."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ftapp import recipe as recipes
from ftapp.common import cache_folders
from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.common.formatting import format_quantity
from ftapp.common.partial_file import PartialFile
from ftapp.recipe import Recipe
from ftapp.rpc.prediction_messages import PredictQuestion
from ftapp.rpc.prediction_table import PredictionTable, TableFormat
from ftapp.rpc.predictor_client import PredictorClient
from ftapp.runs.run_folder import RunFolder


@dataclass
class PredictionCounts:
    """What was predicted.

    Attributes:
        inputs: How many inputs have a row.
        problems: How many of them have no answer.
    """

    inputs: int = 0
    problems: int = 0

    def __str__(self) -> str:
        without = f"; {self.problems:,} without an answer: the column error says why" if self.problems else ""
        return f"{format_quantity(self.inputs, 'input')}{without}"


class RowWriter(Protocol):
    """Where rows are written."""

    def open(self, head: bytes) -> None:
        """Begin with what stands before the first row."""

    def write(self, content: bytes) -> None:
        """Write rows."""

    def commit(self, rows: int, problems: int, digest: str) -> None:
        """Note that the rows of so many inputs are there, and the hash of these inputs."""

    def flush(self) -> None:
        """Give what is written to the file system."""

    def close(self) -> None:
        """End the writing."""


@contextmanager
def open_partial_file(
    run: RunFolder, question: PredictQuestion, output: Path, format: TableFormat, *, anew: bool
) -> Iterator[tuple[PartialFile, PredictQuestion, PredictionCounts]]:
    """Open the partial file of a prediction's output, which takes the output's place if the context ends well.

    Args:
        run: The run.
        question: The inputs, and what is asked of them.
        output: Where the rows come to lie.
        format: How rows are written.
        anew: Whether to begin anew where a partial file is there.

    Yields:
        (The partial file, the question without the inputs whose rows it has, how many these are).

    Raises:
        RunError: There is no model, or a partial file does not fit.
        OSError: The output cannot be written.
    """
    partial = PartialFile(output, _list_facts(run, question, format), anew=anew)
    if partial.progress.rows:
        question = msgspec.structs.replace(question, skip=partial.progress.rows, digest=partial.progress.digest)
    try:
        yield partial, question, PredictionCounts(partial.progress.rows, partial.progress.problems)
        partial.finish()
    finally:
        partial.close()


async def write_predictions(
    client: PredictorClient,
    recipe: Recipe,
    question: PredictQuestion,
    writer: RowWriter,
    format: TableFormat,
    counts: PredictionCounts,
    progress: Progress,
    *,
    shows_rows: bool = False,
) -> None:
    """Ask the predictor, and write the rows as they come; those of a Parquet file once more when all are there.

    Args:
        client: The predictor.
        recipe: The run's recipe.
        question: The inputs, and what is asked of them.
        writer: Where rows are written.
        format: How rows are written.
        counts: What was predicted before; it is counted on.
        progress: Called with what is being done.
        shows_rows: Whether the rows themselves show the progress.

    Raises:
        RecipeError: An input is not there or cannot be read, or a column cannot be kept.
        RunError: The model cannot be loaded.
        OSError: The rows cannot be written.
    """
    loaded = await client.load(progress)
    table = PredictionTable(loaded, question.keeps, question.top, question.scores, recipe.data.label_separator)
    is_open = False
    if shows_rows:
        progress("", 0, None)
    async with aclosing(client.predict(question, None if shows_rows else progress)) as parts:
        async for part in parts:
            if not is_open:  # not before, so that refused inputs leave nothing
                writer.open(table.encode_head(format))
                is_open = True
            writer.write(table.encode_rows(part.rows, format))
            counts.inputs += len(part.rows)
            counts.problems += sum(bool(row.problem) for row in part.rows)
            if part.digest:
                writer.commit(counts.inputs, counts.problems, part.digest)
    if not is_open:
        writer.open(table.encode_head(format))
    writer.flush()
    if format == "parquet" and isinstance(writer, PartialFile):
        await client.write_parquet(writer.path, writer.converted, table.columns, progress)


async def predict_to_file(
    run: RunFolder, question: PredictQuestion, output: Path, progress: Progress, *, anew: bool = False
) -> PredictionCounts:
    """Predict inputs with a run's model in a helper process, and write their rows to a file.

    Args:
        run: The run.
        question: The inputs, and what is asked of them.
        output: The file, whose ending says how rows are written. After an interruption, its partial file stays, and the
            same request goes on.
        progress: Called with what is being done.
        anew: Whether to begin anew where a partial file is there.

    Returns:
        How many inputs were predicted.

    Raises:
        RecipeError: An input is not there or cannot be read, or a column cannot be kept.
        RunError: There is no model, or a partial file does not fit.
        OSError: The output cannot be written.
    """
    recipe = recipes.load(run.recipe_file)
    format = choose_table_format(output)
    with open_partial_file(run, question, output, format, anew=anew) as (partial, rest, counts):
        async with PredictorClient(recipe, run.folder, offline=True) as client:
            await write_predictions(client, recipe, rest, partial, format, counts, progress)
    return counts


def choose_table_format(output: Path) -> TableFormat:
    """Choose how rows are written to a file by the ending of its name.

    Raises:
        RunError: The ending is not one of a table, the folder is not there, or the file is a folder.
    """
    suffixes: dict[str, TableFormat] = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}
    if output.suffix.lower() not in suffixes:
        raise RunError(f"'{output}' does not end in .csv, .jsonl or .parquet; the ending says how it is written")
    if not output.parent.is_dir():
        raise RunError(f"there is no folder '{output.parent}' for {output.name}")
    if output.is_dir():
        raise RunError(f"'{output}' is a folder; the output is a file")
    return suffixes[output.suffix.lower()]


def _list_facts(run: RunFolder, question: PredictQuestion, format: TableFormat) -> dict[str, Any]:
    """List what decides the rows beside the inputs. Inputs themselves are compared by their hash."""
    manifest = run.model_folder / cache_folders.MANIFEST
    if not manifest.is_file():
        raise RunError(f"there is no model in {run.model_folder}; its run has not saved one")
    options = msgspec.to_builtins(question)
    for name in ("inputs", "skip", "digest"):
        del options[name]
    return {
        "model": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "list of inputs": [name for _, name in question.inputs],
        "set of options": {**options, "written_as": format},
    }
