"""The numbers that regression learns, read from a column of a table."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import quote
from ftapp.data import labels
from ftapp.data.examples import DataProblems, Examples
from ftapp.data.labels import quote_label
from ftapp.data.table_labels import KINDS, LEAVE_OUT
from ftapp.data.table_rows import TableRow
from ftapp.recipe import Data

_RULE = "each example has one number, such as 7, 7.5 or -1e3"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+", re.ASCII)
_DOTTED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+", re.ASCII)  # thousands where a comma is the decimal sign
_FEW = 3  # different values that are no numbers, and are told one by one with their rows
_KEPT = 0.9  # share of the different numbers; where fewer are left in float32, a run says so
_LARGEST = 1e36  # of numbers and, as 1 / 1e36, the smallest beside 0; errors a hundred times larger fit in float32


class NumberReader:
    """Reads a number for each row. See `ftapp.data.label_readers.LabelReader`."""

    def __init__(self, root: Path, spec: Data, notes: list[str], findings: DataProblems) -> None:
        self._root, self._spec, self._notes, self._findings = root, spec, notes, findings

    @staticmethod
    def name_columns(spec: Data) -> dict[str, str]:
        """Name the column of the number."""
        return {spec.label_column: "data.label_column"}

    def read(self, rows: Sequence[TableRow]) -> list[float]:
        """Read the number of each row; NaN for none.

        A comma is the decimal sign where it cannot part thousands, as in 7,5.
        """
        values = [row.values.get(self._spec.label_column) for row in rows]
        with_comma = [text for value in values if isinstance(value, str) and "," in (text := value.strip())]
        has_decimal_comma = bool(with_comma) and all(map(_COMMA.fullmatch, with_comma))
        has_decimal_comma = has_decimal_comma and not all(map(_THOUSANDS.fullmatch, with_comma))
        if has_decimal_comma:
            self._notes.append(f"numbers have a decimal comma, such as {quote_label(with_comma[0])}")
        numbers: list[float] = []
        wrong: dict[str, list[TableRow]] = {}
        for row, value in zip(rows, values, strict=True):
            number = parse_number(value, has_decimal_comma=has_decimal_comma)
            if isinstance(number, str):
                wrong.setdefault(number, []).append(row)
                number = math.nan
            elif math.isnan(number) and not self._spec.skip_incomplete:
                said = f"there is no number; {_RULE}; {LEAVE_OUT}"
                self._findings.add(row.file, said, "data.label_column", row.place)
            numbers.append(number)
        self._add_wrong(wrong)
        return numbers

    def _add_wrong(self, wrong: dict[str, list[TableRow]]) -> None:
        """Add what is wrong with values: one finding where there are many different ones, else one for each."""
        count = sum(map(len, wrong.values()))
        for message, rows in wrong.items():
            if len(wrong) > _FEW:
                said = f"{count:,} values are no numbers; in {rows[0].place}, {message}"
                self._findings.add(self._root, said, "data.label_column")
                return
            for row in rows:
                self._findings.add(row.file, message, "data.label_column", row.place)

    def find_missing(self, values: Sequence[float]) -> list[bool]:
        """Find the rows without a number."""
        return [math.isnan(value) for value in values]

    def finish(self, rows: Sequence[TableRow], values: Sequence[float]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Make the numbers, float32 (rows,)."""
        self._findings.check()
        numbers = np.array(values, np.float32)
        numbers[np.abs(numbers) < 1 / _LARGEST] = 0  # as processors compute with them
        different, kept = len(set(values)), len(np.unique(numbers))
        rounded = f"{different:,} different numbers are {kept:,} to the seven digits that models keep"
        if kept == 1 < different:
            said = f"{rounded}, {numbers[0]:g}; subtract a constant from all of them, or scale them"
            self._findings.add(self._root, said, "data.label_column")
        else:
            add_constant(self._root, numbers, self._findings)
        self._findings.check()
        self._notes.append(describe_numbers(numbers))
        if kept < _KEPT * different:
            self._notes.append(f"{rounded}; a constant subtracted from all of them keeps more")
        return numbers, ()


def parse_number(value: object, *, has_decimal_comma: bool = False) -> float | str:
    """Parse the number of an example.

    Args:
        value: The value of a table: a string, or a value of JSON.
        has_decimal_comma: Whether a comma is the decimal sign.

    Returns:
        The number, finite; NaN for a missing one; or what is wrong, in words.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return math.nan
    if isinstance(value, str):
        text = value.strip()
        if text.casefold() in labels.MISSING:
            return math.nan
        if has_decimal_comma and _DOTTED.fullmatch(text):
            other = "other numbers have a decimal comma, so its dot may part thousands"
            return f"{quote_label(text)} may be two numbers; {other}; all numbers have one decimal sign"
        plain = text.replace(",", ".") if has_decimal_comma else text
        if not _NUMBER.fullmatch(plain):
            hint = "; write it without signs between thousands" if _THOUSANDS.fullmatch(text) else ""
            return f"{quote_label(text)} is no number; {_RULE}{hint}"
        number = float(plain)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) <= _LARGEST else math.inf
    else:
        return f"the number is {KINDS.get(type(value).__name__, 'of another kind')}: {quote(value)}; {_RULE}"
    return number if abs(number) <= _LARGEST else f"{quote(value)} is too large; numbers are at most 1e36"


def convert_classes(examples: Examples, findings: DataProblems) -> None:
    """Make numbers of the classes of examples whose names are numbers, such as folders 0 to 9.

    Args:
        examples: The examples; their labels and classes change.
        findings: Classes whose names are no numbers are added.

    Raises:
        RecipeError: The names of some classes are no numbers.
    """
    numbers = [parse_number(name) for name in examples.classes]
    for name, number in zip(examples.classes, numbers, strict=True):
        if isinstance(number, str) or math.isnan(number):
            findings.add("", f"the class {quote_label(name)} is no number; regression learns numbers", "data.source")
    findings.check()
    examples.labels = np.array(numbers, np.float32)[examples.labels]
    examples.classes = ()
    add_constant("", examples.labels, findings)
    findings.check()
    examples.notes = (*examples.notes, describe_numbers(examples.labels))


def describe_numbers(numbers: NDArray[np.float32]) -> str:
    """Describe the range of numbers in words."""
    return f"numbers from {numbers.min():.6g} to {numbers.max():.6g}, {numbers.mean(dtype=np.float64):.6g} on average"


def add_constant(file: object, numbers: NDArray[np.float32], findings: DataProblems) -> None:
    """Add a finding where all examples have the same number."""
    if len(numbers) and (numbers == numbers[0]).all():
        findings.add(file, f"every number is {numbers[0]:g}; regression needs different ones", "data.label_column")
