"""Readers of the labels of a table's rows: classes here, sets of classes and numbers in modules of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ftapp.data import labels, table_labels
from ftapp.data.examples import DataProblems, Labels
from ftapp.data.table_rows import TableRow
from ftapp.recipe import Data


class LabelReader(Protocol):
    """Reads one kind of labels from the rows of a table.

    Args:
        root: The table's file or folder.
        spec: The recipe's [data].
        notes: Gets decisions in sentences.
        findings: Gets problems.
    """

    def __init__(self, root: Path, spec: Data, notes: list[str], findings: DataProblems) -> None: ...

    @staticmethod
    def name_columns(spec: Data) -> dict[str, str]:
        """Name the columns that hold the labels: column -> the recipe's key that names it."""
        ...

    def read(self, rows: Sequence[TableRow]) -> list[Any]:
        """Read the label of each row. What is no label at all is a finding."""
        ...

    def find_missing(self, values: Sequence[Any]) -> list[bool]:
        """Find the rows without a label, of which `read` made these values."""
        ...

    def finish(self, rows: Sequence[TableRow], values: Sequence[Any]) -> tuple[Labels, tuple[str, ...]]:
        """Make the labels, as `Examples` has them, and the names of the classes.

        Args:
            rows: The rows that are kept.
            values: What `read` made of each.

        Raises:
            RecipeError: The labels cannot be used as they stand.
        """
        ...


class ClassReader:
    """Reads one class for each row. See `LabelReader`."""

    def __init__(self, root: Path, spec: Data, notes: list[str], findings: DataProblems) -> None:
        self._root, self._spec, self._notes, self._findings = root, spec, notes, findings

    @staticmethod
    def name_columns(spec: Data) -> dict[str, str]:
        """Name the column of the class."""
        return {spec.label_column: "data.label_column"}

    def read(self, rows: Sequence[TableRow]) -> list[str]:
        """Read the name of each row's label; "" for none."""
        return table_labels.read(rows, self._spec.label_column, self._findings)

    def find_missing(self, values: Sequence[str]) -> list[bool]:
        """Find the rows whose label stands for a missing one and is no class of the recipe."""
        missing = {name for name in values if name.casefold() in labels.MISSING} - set(self._spec.classes or ())
        return [name in missing for name in values]

    def finish(self, rows: Sequence[TableRow], values: Sequence[str]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Make the numbers of the classes, int32 (rows,)."""
        classes, known = table_labels.find_classes(self._root, rows, values, self._spec, self._notes, self._findings)
        self._findings.check()
        return np.array([known[name] for name in values], np.int32), classes
