"""The table that `ftapp predict` writes: its columns, and its rows as CSV, as JSON lines and as Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ftapp.common.csv_cells import format_cell
from ftapp.common.errors import Problem, RecipeError
from ftapp.common.safe_files import encode_line
from ftapp.recipe import TASKS
from ftapp.rpc.messages import Loaded
from ftapp.rpc.prediction_messages import PredictedRow

TableFormat = Literal["csv", "jsonl", "parquet"]
ColumnType = Literal["text", "number", "texts", "numbers"]
"""As `ftapp.data.parquet_output` names the types of columns."""


@dataclass(frozen=True)
class PredictionTable:
    """The columns of the table, which follow from the model and from what is asked of it.

    Attributes:
        loaded: The model.
        keeps: Columns of the inputs that come with the answers.
        top: How many of the best classes have columns.
        scores: Whether each class has a column.
        separator: What stands between several labels in a cell.

    Raises:
        RecipeError: A column of the inputs is kept twice, or has the name of a column of the answers.
    """

    loaded: Loaded
    keeps: Sequence[str]
    top: int
    scores: bool
    separator: str

    def __post_init__(self) -> None:
        own = {"input", *self._answer_columns}
        for name in self.keeps:
            if name in own:
                message = f"--keep {name}: the answers have a column '{name}' already; rename the column of the inputs"
                raise RecipeError([Problem("", "", message)])
            if self.keeps.count(name) > 1:
                raise RecipeError([Problem("", "", f"--keep {name} is given more than once; a column is kept once")])

    @property
    def columns(self) -> dict[str, ColumnType]:
        """The names of the columns in order, with their types."""
        return {"input": "text", **dict.fromkeys(self.keeps, "text"), **self._answer_columns}

    @property
    def _answer_columns(self) -> dict[str, ColumnType]:
        classes = self.loaded.classes
        if not classes:
            return {"answer": "number", "error": "text"}
        score = "score" if self.loaded.head == "linear-svm" else "probability"
        columns: dict[str, ColumnType] = (
            {"answer": "texts", score: "numbers"} if self._has_several else {"answer": "text", score: "number"}
        )
        for place in range(1, min(self.top, len(classes)) + 1):
            columns |= {f"top_{place}": "text", f"top_{place}_{score}": "number"}
        columns |= {f"{score}_{name}": "number" for name in classes if self.scores}
        return {**columns, "error": "text"}

    @property
    def _has_several(self) -> bool:
        return TASKS[self.loaded.task].labels == "sets"

    def make_cells(self, row: PredictedRow) -> list[Any]:
        """Make the value of each column for an input; several labels are a list, and None stands for no value."""
        score: Any = list(row.answer_scores) if self._has_several else next(iter(row.answer_scores), None)
        best = [value for pair in row.top for value in pair]
        scores = list(row.scores)
        answer: Any = list(row.answer) if isinstance(row.answer, tuple) else row.answer
        cells = [answer, score, *best, *scores] if self.loaded.classes else [answer]
        if row.problem:
            cells = [None] * (len(self.columns) - len(self.keeps) - 2)
        return [row.name, *(row.kept or [None] * len(self.keeps)), *cells, row.problem or None]

    def encode_head(self, format: TableFormat) -> bytes:
        """Encode what stands before the first row."""
        return self._encode_csv([list(self.columns)]) if format == "csv" else b""

    def encode_rows(self, rows: Sequence[PredictedRow], format: TableFormat) -> bytes:
        """Encode rows. Those of a Parquet file are JSON lines until all are there."""
        cells = map(self.make_cells, rows)
        if format == "csv":
            return self._encode_csv([[self._format(cell) for cell in row] for row in cells])
        return b"".join(encode_line(dict(zip(self.columns, row, strict=True))) for row in cells)

    def _format(self, cell: Any) -> Any:
        if isinstance(cell, list):
            return format_cell(self.separator.join(map(str, cell)))
        if isinstance(cell, bool):
            return str(cell).lower()
        return format_cell(cell) if isinstance(cell, str) else cell

    def _encode_csv(self, rows: Sequence[Sequence[Any]]) -> bytes:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode("utf-8", "replace")
