"""Requests to predict many inputs: read, scored and answered one after another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ftapp import recipe as recipes
from ftapp.common.errors import RunError
from ftapp.common.safe_files import explain_error
from ftapp.data.parquet_output import Kind, write_parquet
from ftapp.recipe import TASKS, Recipe
from ftapp.rpc.prediction_messages import PredictedRow, PredictedRows, PredictQuestion
from ftapp.rpc.server import Request
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.run_models import RunModels

if TYPE_CHECKING:
    from ftapp.data.input_rows import InputReader, InputRow
    from ftapp.models.saved_model import TrainedModel
    from ftapp.training.scoring import ScoredRow

_ROWS_AT_ONCE, _CHARACTERS_AT_ONCE = 256, 1 << 21  # of a line of the protocol, which is at most 64 MiB


class PredictRequests:
    """The handlers of requests to predict.

    Args:
        models: The models of the last run.
    """

    def __init__(self, models: RunModels) -> None:
        self._models = models

    def predict(self, request: Request, run: str, question: dict[str, Any]) -> int:
        """Predict inputs, and say them with their answers in order, as `PredictedRows`.

        Args:
            request: Receives the progress.
            run: The folder of the run.
            question: A `PredictQuestion`.

        Returns:
            How many inputs there are.

        Raises:
            RecipeError: An input is not there or cannot be read.
            RunError: The model writes text, or the inputs that are skipped are others.
        """
        asked = msgspec.convert(question, PredictQuestion)
        trained = self._models.load(request, run)
        if TASKS[trained.task].writes:
            raise RunError("this run's model writes text; 'ftapp generate' continues prompts with it")
        recipe = recipes.load(RunFolder(Path(run)).recipe_file)
        from ftapp.training.scoring import Scorer

        reader = make_reader(asked, recipe)
        rows = reader.read()
        before = _Position(request, reader)
        before.skip(rows, asked.skip, asked.digest)
        scorer = Scorer(trained, asked.batch_size or recipe.evaluate.batch_size)
        for found in scorer.score(rows):
            if isinstance(found, int):
                before.report(found)
                continue
            answers = [make_row(trained, each, asked.top, has_scores=asked.scores) for each in found]
            before.add(each.row for each in found)
            for some, is_last in _split(answers):
                digest = before.digest if is_last else ""
                request.say(predicted=msgspec.to_builtins(PredictedRows(rows=some, digest=digest)))
        return before.count

    def write_parquet(self, request: Request, lines: str, file: str, columns: dict[str, Kind]) -> None:
        """Write the rows of a file of JSON lines to a Parquet file.

        Args:
            request: Receives the progress.
            lines: The file of JSON lines.
            file: The Parquet file.
            columns: The columns with their types.

        Raises:
            RunError: The file cannot be written.
        """
        try:
            write_parquet(Path(lines), Path(file), columns, lambda rows: request.report_progress("writing rows", rows))
        except OSError as error:
            raise RunError(f"{file} cannot be written: {explain_error(error)}") from error


class _Position:
    """How many inputs are answered, and the hash of them."""

    def __init__(self, request: Request, reader: InputReader) -> None:
        self._request, self._reader = request, reader
        self._hash, self.count = hashlib.blake2b(digest_size=16), 0

    @property
    def digest(self) -> str:
        """The hash of all inputs so far."""
        return self._hash.hexdigest()

    def skip(self, rows: Iterator[InputRow], count: int, digest: str) -> None:
        """Read the inputs that have their answers already.

        Raises:
            RunError: There are fewer, or they are others than those of the hash.
        """
        while self.count < count and (row := next(rows, None)):
            self.add([row])
            self._request.report_progress("reading what has been predicted", self.count, count)
        if count and (self.count, self.digest) != (count, digest):
            raise RunError(
                f"the first {count:,} inputs are not those that were predicted before, so the prediction cannot go on"
            )

    def add(self, rows: Any) -> None:
        """Count some inputs."""
        for row in rows:
            self.count += 1
            self._hash.update(_identify(row))

    def report(self, found: int) -> None:
        """Report how many inputs are scored, and how many there are by the share of the bytes that are read."""
        done, reader = self.count + found, self._reader
        share = reader.position / reader.size if reader.size else 0.0
        self._request.report_progress("predicting", done, max(done, round(reader.count / share)) if share else None)


def _identify(row: InputRow) -> bytes:
    """Return bytes that tell an input from others: its name and, of an image file, its size and time."""
    facts: list[Any] = [row.name, row.place, row.kept, row.problem]
    if isinstance(row.content, bytes):
        facts.append(hashlib.blake2b(row.content, digest_size=16).hexdigest())
    elif isinstance(row.content, Path) and row.content.is_file():
        stat = row.content.stat()
        facts += [stat.st_size, stat.st_mtime_ns]
    return repr(facts).encode("utf-8", "surrogatepass")


def _split(rows: list[PredictedRow]) -> Iterator[tuple[list[PredictedRow], bool]]:
    """Split rows so that each part fits a line of the protocol. Yields each part, and whether it is the last one."""
    part: list[PredictedRow] = []
    characters = 0
    for row in rows:
        if part and (len(part) == _ROWS_AT_ONCE or characters + len(row.name) > _CHARACTERS_AT_ONCE):
            yield part, False
            part, characters = [], 0
        part.append(row)
        characters += len(row.name)
    yield part, True


def make_reader(asked: PredictQuestion, recipe: Recipe) -> InputReader:
    """Make the reader of the inputs of a question.

    Args:
        asked: The question.
        recipe: The run's recipe, which decides what the question leaves open.
    """
    from ftapp.data.input_rows import Input, InputReader

    kind = TASKS[recipe.task].inputs
    return InputReader(
        [Input(Path(path), name) for path, name in asked.inputs],
        kind,
        asked.column or (recipe.data.image_column if kind == "images" else recipe.data.text_column),
        asked.keeps,
        asked.format,
        asked.encoding or recipe.data.encoding,
    )


def make_row(trained: TrainedModel, scored: ScoredRow, top: int, *, has_scores: bool) -> PredictedRow:
    """Make the answer to an input of its scores.

    Args:
        trained: The model.
        scored: The input with its scores.
        top: How many of the classes with the highest scores come with the answer.
        has_scores: Whether all scores come with it.
    """
    row, classes = scored.row, trained.classes
    if scored.scores is None:
        problem = f"{row.place}: {scored.problem}" if row.place else scored.problem
        return PredictedRow(name=row.name, kept=row.kept, problem=problem)
    # float32 in its shortest form: as Python's float, 0.9 would be 0.8999999761581421.
    values = tuple(float(str(value)) for value in scored.scores)
    if not classes:
        return PredictedRow(name=row.name, kept=row.kept, answer=values[0])
    order = sorted(range(len(classes)), key=lambda at: -values[at])[: max(1, top)]
    answer: Any = classes[order[0]]
    found = order[:1]
    if trained.thresholds is not None:
        found = [at for at, limit in enumerate(trained.thresholds) if scored.scores[at] >= limit]
        answer = tuple(classes[at] for at in found)
    return PredictedRow(
        name=row.name,
        kept=row.kept,
        answer=answer,
        answer_scores=tuple(values[at] for at in found),
        top=tuple((classes[at], values[at]) for at in order[:top]),
        scores=values if has_scores else (),
    )
