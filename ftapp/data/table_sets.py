"""The sets of classes that multi-label classification learns, read from a column of names or from yes-no columns."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import quote
from ftapp.common.formatting import format_quantity
from ftapp.data.examples import DataProblems
from ftapp.data.labels import MISSING, override, quote_label
from ftapp.data.table_columns import format_plain
from ftapp.data.table_labels import LEAVE_OUT, find_classes, name_label
from ftapp.data.table_rows import TableRow
from ftapp.recipe import Data

_YES = frozenset(("1", "1.0", "true", "yes", "y", "t", "x"))
_NO = frozenset(("0", "0.0", "false", "no", "n", "f"))
_SEPARATORS = (";", "|", ",", "/", " ")
_MANY = 0.2  # of the cells that hold another separator, so that it is taken for the right one


class SetReader:
    """Reads the classes of each row, any number of them. See `ftapp.data.label_readers.LabelReader`."""

    def __init__(self, root: Path, spec: Data, notes: list[str], findings: DataProblems) -> None:
        self._root, self._spec, self._notes, self._findings = root, spec, notes, findings

    @staticmethod
    def name_columns(spec: Data) -> dict[str, str]:
        """Name the yes-no columns, or else the column of the names."""
        if spec.label_columns:
            return dict.fromkeys(spec.label_columns, "data.label_columns")
        return {spec.label_column: "data.label_column"}

    def read(self, rows: Sequence[TableRow]) -> list[list[str] | None]:
        """Read the names of each row's classes; None where a yes-no column says nothing."""
        if self._spec.label_columns:
            return [self._read_answers(row, self._spec.label_columns) for row in rows]
        self._check_separator(rows)
        return [self._read_names(row) for row in rows]

    def find_missing(self, values: Sequence[list[str] | None]) -> list[bool]:
        """Find the rows without an answer in one of their columns, or with a word for a missing label."""
        named = {*(self._spec.classes or ()), *(self._spec.label_columns or ())}
        return [
            value is None or any(name.casefold() in MISSING and name not in named for name in value) for value in values
        ]

    def finish(
        self, rows: Sequence[TableRow], values: Sequence[list[str] | None]
    ) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
        """Make the answers, bool (rows, classes)."""
        self._findings.check()
        sets = [value or [] for value in values]
        if self._spec.label_columns:
            classes = tuple(self._spec.label_columns)
            known = {name: at for at, name in enumerate(classes)}
        else:
            each = [row for row, names in zip(rows, sets, strict=True) for _ in names]
            names = [name for some in sets for name in some]
            if not names:
                said = f"no row has a label in the column '{self._spec.label_column}'; at least two labels occur"
                self._findings.add(self._root, said, "data.label_column")
                self._findings.check()
            classes, known = find_classes(self._root, each, names, self._spec, self._notes, self._findings)
        self._findings.check()
        answers = np.zeros((len(sets), len(classes)), bool)
        for at, some in enumerate(sets):
            answers[at, [known[name] for name in some]] = True
        counts = answers.sum(axis=1)
        empty = int((counts == 0).sum())
        none = f"; {format_quantity(empty, 'example')} without any" if empty else ""
        self._notes.append(f"an example has {counts.mean():.2f} of the {len(classes)} labels on average{none}")
        return answers, classes

    def _read_answers(self, row: TableRow, columns: Sequence[str]) -> list[str] | None:
        """Read which of the yes-no columns say yes."""
        found: list[str] = []
        is_whole = True
        for column in columns:
            value = row.values.get(column)
            text = "" if value is None or (isinstance(value, float) and math.isnan(value)) else format_plain(value)
            if text.casefold() in _YES:
                found.append(column)
            elif text.casefold() in MISSING:
                is_whole = False
                if not self._spec.skip_incomplete:
                    got = f"has {quote_label(text)}, which stands for no answer" if text else "is empty"
                    said = f"the column '{column}' {got}; it says 1 or 0 of each example; {LEAVE_OUT}"
                    self._findings.add(row.file, said, "data.label_columns", row.place)
            elif text.casefold() not in _NO:
                said = f"the column '{column}' has {quote_label(text)}; it says 1 or 0, or yes or no, of each example"
                self._findings.add(row.file, said, "data.label_columns", row.place)
        return found if is_whole else None

    def _read_names(self, row: TableRow) -> list[str]:
        """Read the names in a cell: parted by the separator, or a list of JSON or Python."""
        value, parts = row.values.get(self._spec.label_column), list[object]()
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return []
        if isinstance(value, str):
            listed = _parse_list(value)
            parts = list(value.split(self._spec.label_separator)) if listed is None else listed
        elif isinstance(value, list):
            parts = value
        else:
            parts = [value]
        parts = [int(part) if isinstance(part, float) and part.is_integer() else part for part in parts]
        wrong = next((part for part in parts if not isinstance(part, str | int)), None)
        if wrong is not None:
            said = f"{quote(wrong)} is no label; the labels of an example are names or whole numbers"
            self._findings.add(row.file, said, "data.label_column", row.place)
            return []
        return list(dict.fromkeys(name for part in parts if (name := name_label(part))))

    def _check_separator(self, rows: Sequence[TableRow]) -> None:
        """Add a finding where no cell has the separator and many have another one."""
        cells = [value for row in rows if isinstance(value := row.values.get(self._spec.label_column), str)]
        cells = [cell for cell in cells if cell.strip() and _parse_list(cell) is None]
        if any(self._spec.label_separator in cell for cell in cells):
            return
        for other in _SEPARATORS:
            holders = [cell for cell in cells if other in cell.strip()]
            if len(holders) > _MANY * len(cells):
                self._findings.add(
                    self._root,
                    f"no cell has {quote_label(self._spec.label_separator)} between labels, and {len(holders):,} of "
                    f"{len(cells):,} have {quote_label(other)}, such as {quote_label(holders[0])}; "
                    f"{override('data.label_separator', other)}",
                    "data.label_separator",
                )
                return


def _parse_list(text: str) -> list[object] | None:
    """Parse a list as JSON and Python write it, such as ['a', 'b']; None of any other text."""
    if text.lstrip().startswith("[") and text.rstrip().endswith("]"):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            found = ast.literal_eval(text.strip())
            return found if isinstance(found, list) else None
    return None
