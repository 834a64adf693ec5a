"""Rows of CSV files as programs write them: which character parts fields, which quotes them, which rows are empty.

The way of writing is found by the file itself: it is the first, of a few in order of likeliness, in which the header
has the columns that are wanted and every row has as many fields as the header.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ftapp.common.formatting import format_quantity

_MAX_FIELD = 1 << 30  # bytes; the csv module's own limit of 128 KiB is less than a chapter
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_TITLE_LINES = 30  # at the beginning of a file, among which the header may be
_HEAD = 1 << 18  # characters of a file by which ways of writing are compared
_AROUND_NAMES = " \t\r\n\u00a0\u200b\ufeff"
_SEPARATOR = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
_ESCAPE = re.compile(r'\\(["\\])')


@dataclass(frozen=True)
class Dialect:
    """The way in which a file is written.

    Attributes:
        delimiter: The character between fields.
        quote: The character around fields that hold delimiters or line ends.
        escaped: Whether a backslash stands before a quote in a field, in place of a second quote.
        skipped: The number of lines before the header.
    """

    delimiter: str = ","
    quote: str = '"'
    escaped: bool = False
    skipped: int = 0

    @property
    def words(self) -> str:
        """The difference from commas and double quotes, in words; "" if there is none."""
        parts = [f"{_DELIMITERS.get(self.delimiter, repr(self.delimiter))} between fields"] * (self.delimiter != ",")
        parts += ["single quotes around them"] * (self.quote == "'")
        parts += ["backslashes before quotes"] * self.escaped
        return " and ".join(parts)


@dataclass
class Table:
    """A CSV file.

    Attributes:
        header: The names of its columns.
        rows: Rows: the number that a spreadsheet shows, and the fields.
        faults: Problems of other rows, each with its place.
        dialect: The way in which it is written.
        empty: The number of rows without anything in any field.
    """

    header: list[str]
    rows: list[tuple[int, list[str]]]
    faults: list[tuple[str, str]]
    dialect: Dialect
    empty: int


def read(content: str, wanted: Collection[str], delimiter: str | None = None) -> Table:
    """Read the table in a text.

    Args:
        content: The text of the file.
        wanted: Columns that the table is likely to have.
        delimiter: The delimiter that the file's name tells, such as a tab; None to find it.

    Returns:
        The table.
    """
    best = _parse(content, _choose_dialect(content, wanted, delimiter))
    if best.faults and '\\"' in content:
        other = _parse(content, replace(best.dialect, escaped=True))
        if len(other.faults) < len(best.faults) or len(other.rows) > len(best.rows):
            return other
    return best


class DelimitedRow(NamedTuple):
    """A row of a file that is read row by row.

    Attributes:
        number: The number that a spreadsheet shows.
        fields: As many fields as the header has; none where there is a fault.
        fault: What is wrong with the row, or with all that follows it; "" for nothing.
    """

    number: int
    fields: list[str]
    fault: str = ""


def stream(
    lines: Iterator[str], wanted: Collection[str], delimiter: str | None = None
) -> tuple[list[str], Iterator[DelimitedRow]]:
    """Read a table row by row, in bounded memory. The head of the file decides the way of writing.

    Args:
        lines: The lines of the file with their ends.
        wanted: Columns that the table is likely to have.
        delimiter: The delimiter that the file's name tells, such as a tab; None to find it.

    Returns:
        The names of the columns; none of an empty file. And the rows; those with nothing in any field are left out.
    """
    begun, size = list[str](), 0
    for line in lines:
        begun.append(line)
        size += len(line)
        if size > _HEAD:
            break
    dialect = read("".join(begun), wanted, delimiter).dialect
    rest = itertools.chain(begun[dialect.skipped :], lines)
    faults: list[tuple[str, str]] = []
    records = _read_records(map(_double_quotes, rest) if dialect.escaped else rest, dialect, faults)
    header = next((fields for _, fields in records if any(map(str.strip, fields))), [])
    return [name.strip(_AROUND_NAMES) for name in header], _fit_records(records, len(header), dialect, faults)


def _fit_records(
    records: Iterator[tuple[int, list[str]]], columns: int, dialect: Dialect, faults: Sequence[tuple[str, str]]
) -> Iterator[DelimitedRow]:
    last = 1
    for last, fields in records:
        if any(map(str.strip, fields)):
            fault = _fit(fields, columns, dialect)
            yield DelimitedRow(last, [] if fault else fields, fault)
    for _, fault in faults:
        yield DelimitedRow(last + 1, [], f"{fault}; the rows from here on cannot be read")


def looks_like_data(table: Table) -> bool:
    """Tell whether the header is an example: a value of it occurs again in its column, or it is one long sentence."""
    sample = [row for _, row in table.rows[:1000]]
    for column, name in enumerate(table.header):
        if name and sum(row[column].strip() == name for row in sample) > 1:
            return True
    return len(table.header) == 1 and len(table.header[0].split()) > 5


def find_header(content: str, wanted: Collection[str], delimiter: str) -> int | None:
    """Find the header below a title or other lines.

    Args:
        content: The text of the file.
        wanted: The names of columns that the header has.
        delimiter: The delimiter with which the file was read; others are tried too.

    Returns:
        The number of the line, from 2; None where none of the first 30 lines is the header.
    """
    for number, line in enumerate(content[:_HEAD].splitlines()[:_TITLE_LINES], start=1):
        names = {name.strip(_AROUND_NAMES + '"') for each in (delimiter, *_DELIMITERS) for name in line.split(each)}
        if number > 1 and names.issuperset(wanted) and len(wanted) > 1:
            return number
    return None


def find_delimiter(name: str, wanted: Collection[str]) -> str | None:
    """Find the character between the wanted names in a header that was taken for one name.

    Args:
        name: The header.
        wanted: The names of columns that it holds.

    Returns:
        The character; None where there is no such character.
    """
    first, *rest = [name.find(each) for each in wanted]
    ends = sorted((at, at + len(each)) for at, each in zip([first, *rest], wanted, strict=True))
    if len(ends) < 2 or ends[0][0] < 0:
        return None
    between = name[ends[0][1] : ends[1][0]]
    return between if len(between) == 1 and not between.isalnum() else None


def _choose_dialect(content: str, wanted: Collection[str], delimiter: str | None) -> Dialect:
    """Choose the way of writing by which the head of the file has the wanted columns, and rows of one length."""
    head = content[:_HEAD]
    separator = _SEPARATOR.match(head)
    skipped = 0
    if separator:
        delimiter, skipped = separator[1], 1
    elif delimiter is None and len(content) > _HEAD:
        head = head[: head.rfind("\n") + 1] or head
    quotes = "'" if head[head.find("\n") + 1 if separator else 0 :].lstrip().startswith("'") else '"'
    choices = [delimiter] if delimiter else list(_DELIMITERS)
    candidates = [Dialect(each, quote, skipped=skipped) for each in choices for quote in quotes]
    tried = [(dialect, _parse(head, dialect)) for dialect in candidates]
    names = {name.casefold() for name in wanted}

    def rate(table: Table) -> tuple[bool, ...]:
        header = {name.casefold() for name in table.header}
        return (
            set(wanted) <= set(table.header),
            names <= header,
            len(table.rows) > 20 * len(table.faults),
            len(header) > 1,
        )

    return max(tried, key=lambda pair: rate(pair[1]))[0]


def _parse(content: str, dialect: Dialect) -> Table:
    csv.field_size_limit(_MAX_FIELD)
    if dialect.skipped:
        content = _SEPARATOR.sub("", content, count=1)
    if dialect.escaped:
        content = _double_quotes(content)
    table = Table([], [], [], dialect, 0)
    for number, fields in _read_records(io.StringIO(content, newline=""), dialect, table.faults):
        if not any(map(str.strip, fields)):
            table.empty += bool(fields)
        elif not table.header:
            table.header = [name.strip(_AROUND_NAMES) for name in fields]
        elif fault := _fit(fields, len(table.header), dialect):
            table.faults.append((f"row {number}", fault))
        else:
            table.rows.append((number, fields))
    return table


def _double_quotes(text: str) -> str:
    """Write a second quote for a backslash before a quote."""
    return _ESCAPE.sub(lambda match: '""' if match[1] == '"' else "\\", text)


def _fit(fields: list[str], columns: int, dialect: Dialect) -> str:
    """Cut empty fields off that go beyond the header. Returns what is wrong where others do, or some are missing."""
    if len(fields) > columns and not any(fields[columns:]):
        del fields[columns:]
    return _explain_uneven(len(fields), columns, dialect) if len(fields) != columns else ""


def _read_records(
    lines: Iterable[str], dialect: Dialect, faults: list[tuple[str, str]]
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        strict=True,
        skipinitialspace=dialect.delimiter != " ",
    )
    number, begun = 1, 1 + dialect.skipped
    try:
        for fields in reader:
            yield number, fields
            number, begun = number + 1, reader.line_num + 1 + dialect.skipped
    except csv.Error as error:
        said = f"{error}"
        if "unexpected end of data" in said:
            said = f"the quote {dialect.quote} that opens a field is not closed before the end of the file"
        elif "expected after" in said:
            said = f"a field in quotes goes on behind its closing {dialect.quote}; a quote inside of it is doubled"
        faults.append((f"row {number}", f"line {begun}: {said}"))


def _explain_uneven(count: int, columns: int, dialect: Dialect) -> str:
    part = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}.get(dialect.delimiter, repr(dialect.delimiter))
    hint = f'; a field that holds a {part} stands in quotes ("…")' if count > columns else ""
    return f"{format_quantity(count, 'field')}, and the header has {columns}{hint}"
