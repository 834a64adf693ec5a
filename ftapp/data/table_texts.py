"""The texts in the columns of a table."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from ftapp.common.formatting import format_quantity
from ftapp.data import table_labels
from ftapp.data.examples import DataProblems
from ftapp.data.labels import quote_label
from ftapp.data.table_rows import TableRow
from ftapp.data.texts import prepare
from ftapp.recipe import Data

_NO_TEXT = frozenset(("nan", "NaN", "NAN", "null", "NULL", "None", "<NA>", "#N/A", "#NAME?", "#REF!", "#VALUE!"))
"""Words that programs write for a missing text; fewer than for labels, since a text may be of one word."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def read(
    rows: Sequence[TableRow],
    key: str,
    spec: Data,
    findings: DataProblems,
    *,
    name: str = "text",
    missing: frozenset[str] = _NO_TEXT,
) -> list[str]:
    """Read and prepare the texts of a column.

    Args:
        rows: The rows.
        key: The key of [data] that names the column.
        spec: The recipe's [data].
        findings: Gets a problem for each missing text, unless such rows are left out.
        name: What the text is called.
        missing: Words that stand for a missing text.

    Returns:
        The text of each row; "" where there is none.
    """
    column = getattr(spec, key)
    return [_read(row, column, f"data.{key}", spec, findings, name, missing) for row in rows]


class FoundText(NamedTuple):
    """The text that a value of a table is.

    Attributes:
        text: The prepared text; "" where there is none.
        lack: Why there is no text where the value is missing; else "".
        fault: What is wrong with a value that is neither a text nor missing; else "".
    """

    text: str
    lack: str = ""
    fault: str = ""


def find_text(value: object, name: str = "text", missing: frozenset[str] = _NO_TEXT) -> FoundText:
    """Find the text that a value is.

    Args:
        value: The value, as JSON has it.
        name: What the text is called.
        missing: Words that stand for a missing text.

    Returns:
        The text, or why there is none.
    """
    if isinstance(value, str):
        text = prepare(value)
        if text.strip() and text.strip() not in missing:
            return FoundText(text)
        if text.strip():
            return FoundText("", lack=f"{quote_label(text.strip())} stands for a missing {name}")
        return FoundText("", lack=f"the {name} is empty")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return FoundText("", lack=f"there is no {name}")
    kind = table_labels.KINDS.get(type(value).__name__, "a number")
    return FoundText("", fault=f"the {name} is {kind}; each {name} is a string")


def _read(
    row: TableRow, column: str, key: str, spec: Data, findings: DataProblems, name: str, missing: frozenset[str]
) -> str:
    found = find_text(row.values.get(column), name, missing)
    if found.fault:
        findings.add(row.file, found.fault, key, row.place)
    elif found.lack and not spec.skip_incomplete:
        message = f"{found.lack}; each example has a {name}; {table_labels.LEAVE_OUT}"
        findings.add(row.file, message, key, row.place)
    return found.text


def describe_halves(rows: Sequence[TableRow], columns: Sequence[str]) -> list[str]:
    """Describe how many texts of some columns hold half of a character, for which a mark stands; nothing for none."""
    found = (row.values.get(column) for column in columns for row in rows)
    cut = sum(isinstance(text, str) and not text.isascii() and bool(_SURROGATE.search(text)) for text in found)
    return [f"{format_quantity(cut, 'text')} with half of a character; \ufffd stands in its place"] if cut else []
