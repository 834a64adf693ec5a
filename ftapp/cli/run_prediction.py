"""A prediction of many inputs: asked of the predictor, and written row by row."""

from __future__ import annotations

import hashlib
import sys
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ftapp import recipe as recipes
from ftapp.cli.ask_helper import ask_helper
from ftapp.cli.partial_file import PartialFile
from ftapp.cli.piped_input import pipe_standard_input
from ftapp.cli.prediction_table import PredictionTable, TableFormat
from ftapp.common import cache_folders
from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.common.formatting import format_quantity
from ftapp.common.safe_output import get_raw_stream
from ftapp.recipe import Recipe
from ftapp.rpc.prediction_messages import PredictQuestion
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


class _Writer(Protocol):
    """Where rows are written."""

    def open(self, head: bytes) -> None: ...
    def write(self, content: bytes) -> None: ...
    def commit(self, rows: int, problems: int, digest: str) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class _Stream:
    """Standard output, or a pipe or a device.

    Args:
        output: The pipe or device; None for standard output.
    """

    def __init__(self, output: Path | None) -> None:
        self._file: Any = output.open("wb") if output else get_raw_stream(sys.stdout).buffer
        self._is_screen = output is None and sys.stdout.isatty()

    def open(self, head: bytes) -> None:
        self.write(head)

    def write(self, content: bytes) -> None:
        if self._is_screen:
            sys.stdout.write(content.decode())  # with signs in place of what steers a terminal
        else:
            self._file.write(content)
            self._file.flush()

    def commit(self, rows: int, problems: int, digest: str) -> None:
        """Keep no note: what is written has gone."""

    def flush(self) -> None:
        self._file.flush()

    close = flush


def run_prediction(
    run: RunFolder, question: PredictQuestion, output: Path | None, format: TableFormat, *, anew: bool
) -> PredictionCounts:
    """Predict inputs with a run's model, and write their rows.

    Args:
        run: The run.
        question: The inputs, and what is asked of them.
        output: The file for the rows; None for standard output.
        format: How rows are written.
        anew: Whether to begin anew where a partial file is there.

    Returns:
        How many inputs were predicted.

    Raises:
        RecipeError: An input is not there or cannot be read, or a column cannot be kept.
        RunError: There is no model, or a partial file does not fit.
        OSError: The output cannot be written.
    """
    recipe = recipes.load(run.recipe_file)
    partial = None
    if output is not None and (output.is_file() or not output.exists()):
        partial = PartialFile(output, _list_facts(run, question, format), anew=anew)
        if partial.progress.rows:
            print(f"going on after {partial.progress.rows:,} inputs in {partial.path}", file=sys.stderr)
            question = msgspec.structs.replace(question, skip=partial.progress.rows, digest=partial.progress.digest)
    writer: _Writer = partial or _Stream(output)
    counts = PredictionCounts(question.skip, partial.progress.problems if partial else 0)
    with pipe_standard_input(question) as piped_question:
        try:
            _ask(recipe, run, piped_question, writer, format, counts)
            if partial:
                partial.finish()
        except KeyboardInterrupt:
            if partial and partial.progress.rows:
                rows = partial.progress.rows
                print(f"interrupted; the same command goes on after {rows:,} inputs", file=sys.stderr)
            raise
        finally:
            writer.close()
    return counts


def _ask(
    recipe: Recipe,
    run: RunFolder,
    question: PredictQuestion,
    writer: _Writer,
    format: TableFormat,
    counts: PredictionCounts,
) -> None:
    """Ask the predictor, and write the rows as they come; those of a Parquet file once more when all are there."""

    async def ask(client: PredictorClient, progress: Progress) -> None:
        loaded = await client.load(progress)
        table = PredictionTable(loaded, question.keeps, question.top, question.scores, recipe.data.label_separator)
        is_open, shows_rows = False, not isinstance(writer, PartialFile) and sys.stdout.isatty()
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

    ask_helper("the model", PredictorClient(recipe, run.folder, offline=True), ask)


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
