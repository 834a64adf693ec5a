"""The times of a table's rows, by which they are ordered: dates, or numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from ftapp.data.examples import DataProblems
from ftapp.data.labels import quote_label
from ftapp.data.table_columns import format_plain
from ftapp.data.table_rows import TableRow
from ftapp.data.time_splits import Times

_KEY = "data.order_column"
_RULE = "a time is a number, or a date such as 2026-01-31 or 2026-01-31 12:30"


def read(rows: Sequence[TableRow], column: str, findings: DataProblems) -> Times | None:
    """Read the times of rows.

    Args:
        rows: The rows.
        column: The column of times.
        findings: Gets a problem for each row without a time, and where dates and numbers are mixed.

    Returns:
        Float64 where all are numbers, else datetime64[us] in UTC, (rows,). None where there are problems.
    """
    times = [_parse(row.values.get(column)) for row in rows]
    for row, time in zip(rows, times, strict=True):
        if isinstance(time, str):
            findings.add(row.file, f"{time}; {_RULE}", _KEY, row.place)
    number = next((at for at, time in enumerate(times) if isinstance(time, float)), None)
    date = next((at for at, time in enumerate(times) if isinstance(time, datetime)), None)
    if number is not None and date is not None:
        other = f"a number in {rows[number].place}"
        findings.add(rows[date].file, f"this is a date, and there is {other}; all are of one kind", _KEY,
                     rows[date].place)  # fmt: skip
    elif len(set(times)) == 1 and not findings.found:
        value = format_plain(rows[0].values.get(column))
        findings.add(rows[0].file, f"every time is {quote_label(value)}; rows are ordered by different ones", _KEY)
    if findings.found:
        return None
    return np.array(times, np.float64 if date is None else "datetime64[us]")


def _parse(value: object) -> float | datetime | str:
    """Parse a time; what is wrong with it, in words, for others."""
    text = "" if value is None else format_plain(value)
    if not text or text.casefold() in ("nan", "nat", "none", "null"):
        return "there is no time"
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return number if math.isfinite(number) else f"{quote_label(text)} is no finite number"
    try:
        date = datetime.fromisoformat(text)
        return date if date.tzinfo is None else date.astimezone(UTC).replace(tzinfo=None)
    except ValueError:
        return f"{quote_label(text)} is no date and no number"
    except OverflowError:
        return f"{quote_label(text)} is before the year 1 or after the year 9999 in UTC"
