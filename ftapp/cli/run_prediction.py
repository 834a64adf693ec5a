"""A prediction of many inputs by a command: to a file, to a pipe, or to standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftapp import recipe as recipes
from ftapp.cli.ask_helper import ask_helper
from ftapp.cli.piped_input import pipe_standard_input
from ftapp.common.downloads import Progress
from ftapp.common.formatting import format_quantity
from ftapp.common.partial_file import PartialFile
from ftapp.common.safe_output import get_raw_stream
from ftapp.rpc.prediction_messages import PredictQuestion
from ftapp.rpc.prediction_rows import PredictionCounts, RowWriter, open_partial_file, write_predictions
from ftapp.rpc.prediction_table import TableFormat
from ftapp.rpc.predictor_client import PredictorClient
from ftapp.runs.run_folder import RunFolder


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


@contextmanager
def _open(
    run: RunFolder, question: PredictQuestion, output: Path | None, format: TableFormat, *, anew: bool
) -> Iterator[tuple[RowWriter, PredictQuestion, PredictionCounts]]:
    """Open a file as `open_partial_file` does, or what keeps no rows: standard output, a pipe, or a device."""
    if output is not None and (output.is_file() or not output.exists()):
        with open_partial_file(run, question, output, format, anew=anew) as opened:
            yield opened
        return
    stream = _Stream(output)
    try:
        yield stream, question, PredictionCounts()
    finally:
        stream.close()


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
    with (
        _open(run, question, output, format, anew=anew) as (writer, rest, counts),
        pipe_standard_input(rest) as piped_question,
    ):
        partial = writer if isinstance(writer, PartialFile) else None
        if partial and counts.inputs:
            print(f"going on after {format_quantity(counts.inputs, 'input')} in {partial.path}", file=sys.stderr)
        shows_rows = partial is None and sys.stdout.isatty()

        async def ask(client: PredictorClient, progress: Progress) -> None:
            await write_predictions(
                client, recipe, piped_question, writer, format, counts, progress, shows_rows=shows_rows
            )

        try:
            ask_helper("the model", PredictorClient(recipe, run.folder, offline=True), ask)
        except KeyboardInterrupt:
            if partial and partial.progress.rows:
                rows = partial.progress.rows
                print(f"interrupted; the same command goes on after {format_quantity(rows, 'input')}", file=sys.stderr)
            raise
    return counts
