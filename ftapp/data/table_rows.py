"""The rows of a table: of CSV, JSON lines, Parquet or Arrow, in one file or in several with the same columns.

Rows are numbered as a spreadsheet shows them: the header of a CSV file is row 1. Lines of a JSON lines file and rows of
a Parquet or Arrow file count from 1.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ftapp.common import downloads
from ftapp.common.downloads import Progress
from ftapp.common.errors import suggest_nearest
from ftapp.common.formatting import escape_unprintable, format_quantity, format_size, join_names
from ftapp.data import arrow_rows, delimited, json_rows, table_columns, text_file
from ftapp.data.examples import DataProblems
from ftapp.data.labels import override, quote_label
from ftapp.data.table_columns import format_plain
from ftapp.recipe import Data
from ftapp.recipe.sources import Source, get_inner_suffix

_MOST_MEMORY = 0.8  # share of the free memory that images may take
_DELIMITERS = {".tsv": "\t", ".tab": "\t"}  # by the suffix of a file that says what parts fields


class TableRow(NamedTuple):
    """A row of a table.

    Attributes:
        file: The file that holds it.
        place: Its place there, such as "row 7".
        values: Column -> value.
    """

    file: Path
    place: str
    values: Mapping[str, Any]


@dataclass
class _Reading:
    """What the reading of one file needs, and where it tells of it.

    Attributes:
        spec: The recipe's [data].
        wanted: The columns that the task needs, each with the recipe's key that names it.
        needed: These, and the columns of the source's filters.
        progress: Called with large files.
        notes: Gets decisions in sentences.
        findings: Gets problems.
    """

    spec: Data
    wanted: Mapping[str, str]
    needed: Mapping[str, str]
    progress: Progress | None
    notes: list[str] = field(default_factory=list)
    findings: DataProblems = field(default_factory=DataProblems)


def read(
    spec: Data, source: Source, wanted: Mapping[str, str], findings: DataProblems, progress: Progress | None = None
) -> tuple[Path, list[TableRow], list[str]]:
    """Read the rows of a source that its filters keep.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        wanted: The columns that the task needs, each with the recipe's key that names it.
        findings: Gets problems; they are raised at once.
        progress: Called with a download and with large files.

    Returns:
        The table's file or folder, its rows, and decisions in sentences.

    Raises:
        RecipeError: A file is no table, it lacks a column, it has no rows, or the filters keep none.
        RunError: A download failed.
    """
    if source.artifact:
        root = downloads.fetch_artifact(source.artifact, progress)
        files = [root]
    else:
        files = source.list_files() or [Path(source.name).expanduser()]
        root = files[0] if len(files) == 1 else files[0].parent
    if "data.image_column" in wanted.values() and source.scheme in ("parquet", "arrow"):
        _check_memory(root, files, findings)
    needed = {**dict.fromkeys(source.where, "data.source"), **wanted}
    rows: list[TableRow] = []
    sources: dict[str, list[str]] = {}
    readings = [_Reading(spec, wanted, needed, progress) for _ in files]
    parts = [
        [TableRow(file, *row) for row in _READERS[source.scheme](file, reading)]
        for file, reading in zip(files, readings, strict=True)
    ]
    known = {column for found in parts for row in found[:1] for column in row.values}
    for file, reading, found in zip(files, readings, parts, strict=True):
        if found and not reading.findings.found:
            table_columns.check(file, [row.values for row in found], needed, known, reading.findings)
        if not found and not reading.findings.found and len(files) > 1:
            reading.notes.append("no rows in this file")
        findings.found += reading.findings.found
        rows += found
        for note in reading.notes:
            sources.setdefault(note, []).append(escape_unprintable(file.name))
    if not rows and not findings.found:
        findings.add(root, "this table has no rows; it has one for each example")
    findings.check()
    notes = [note if len(names) == len(files) else f"{join_names(names)}: {note}" for note, names in sources.items()]
    if len(files) > 1:
        notes.insert(0, f"{format_quantity(len(rows), 'row')} read from {format_quantity(len(files), 'file')}")
    kept = [
        row for row in rows if all(format_plain(row.values.get(key)) == value for key, value in source.where.items())
    ]
    if not kept:
        _add_nothing_kept(root, rows, source.where, findings)
    findings.check()
    return root, kept, notes


def _check_memory(root: Path, files: Sequence[Path], findings: DataProblems) -> None:
    """Check that the images in files fit in memory, where they are kept as they are stored."""
    import psutil

    size = sum(file.stat().st_size for file in files if file.is_file())
    free = psutil.virtual_memory().available
    if size > _MOST_MEMORY * free:
        findings.add(root, f"this table has {format_size(size)}, and {format_size(free)} of memory are free; images in "
                           "Parquet and Arrow files are kept in memory; write them as files, and name their paths",
                     "data.image_column")  # fmt: skip
        findings.check()


def _add_nothing_kept(root: Path, rows: list[TableRow], where: Mapping[str, str], findings: DataProblems) -> None:
    """Add a finding for the first filter of the source that leaves no row, with the nearest value."""
    left = rows
    for column, value in where.items():
        found = sorted({format_plain(row.values.get(column)) for row in left})
        left = [row for row in left if format_plain(row.values.get(column)) == value]
        if not left:
            findings.add(root, f"no row has {column} = '{value}'; {suggest_nearest(value, found)}")
            return


_PlacedValues = tuple[str, Mapping[str, Any]]


def _read_csv(path: Path, reading: _Reading) -> Iterator[_PlacedValues]:
    wanted, findings = reading.wanted, reading.findings
    content = _read_text(path, reading)
    if not content:
        return
    if json_rows.is_json(content):
        findings.add(path, f"this is JSON, not CSV; {override('data.source', f'jsonl:{path}')}")
        return
    table = delimited.read(content, list(wanted), _DELIMITERS.get(get_inner_suffix(path)))
    for place, message in table.faults:
        findings.add(path, message, place=place)
    columns = [name for name in wanted if name in table.header]
    for name in columns:
        if (count := table.header.count(name)) > 1:
            others = [each for each in table.header if each and each not in wanted]
            mend = f", or choose another column: {override(wanted[name], others[0])}" if others else ""
            findings.add(path, f"{count} columns are named '{name}'; each column has a name of its own; rename all but "
                               f"one{mend}", wanted[name])  # fmt: skip
    if len(columns) < len(wanted) and delimited.looks_like_data(table):
        line = table.dialect.delimiter.join([*wanted, *map(str, range(len(wanted) + 1, len(table.header) + 1))])
        row = ", ".join(map(quote_label, table.header[:4]))
        findings.add(path, f"the first row looks like an example ({row}); a table begins with the names of its "
                           f"columns; put a line such as {quote_label(line)} before it",
                     next(iter(wanted.values())))  # fmt: skip
        return
    if len(columns) < len(wanted) and (at := delimited.find_header(content, wanted, table.dialect.delimiter)):
        findings.clear()
        findings.add(path, f"the names of the columns are in line {at}, below others; a table begins with them; "
                           f"tail -n +{at} {shlex.quote(path.name)} leaves the lines above out",
                     next(iter(wanted.values())))  # fmt: skip
        return
    if len(table.header) == 1 and not columns and (part := delimited.find_delimiter(table.header[0], wanted)):
        findings.clear()
        findings.add(path, f"{part!r} stands between fields, which is read only below a first line sep={part}")
        return
    if said := table.dialect.words:
        reading.notes.append(f"read with {said}")
    if table.empty:
        reading.notes.append(f"{format_quantity(table.empty, 'empty row')} left out")
    for number, fields in table.rows:
        yield f"row {number}", dict(zip(table.header, fields, strict=True))
    _tell_checking(path, content, len(table.rows), reading.progress)


def _read_json(path: Path, reading: _Reading) -> Iterator[_PlacedValues]:
    wanted, findings = reading.wanted, reading.findings
    content = _read_text(path, reading)
    if not content:
        return
    found = json_rows.read(content, list(wanted))
    if found.faults and not found.rows and content.lstrip()[:1] not in ("[", "{"):
        begun = quote_label(content.strip().splitlines()[0])
        findings.add(path, f"this file begins with {begun}, which is no JSON; {override('data.source', f'csv:{path}')}")
        return
    for place, message in found.faults:
        findings.add(path, message, place=place)
    yield from found.rows
    _tell_checking(path, content, len(found.rows), reading.progress)


def _read_arrow(path: Path, reading: _Reading) -> Iterator[_PlacedValues]:
    names_classes = not reading.spec.classes
    return arrow_rows.read(path, reading.needed, reading.findings, reading.notes, names_classes=names_classes)


_READERS: Mapping[str, Callable[[Path, _Reading], Iterator[_PlacedValues]]] = {
    "csv": _read_csv,
    "jsonl": _read_json,
    "parquet": _read_arrow,
    "arrow": _read_arrow,
}


def _read_text(path: Path, reading: _Reading) -> str:
    """Read the text of a table; "" where there is none, with a finding."""
    content = text_file.read(path, reading.findings, reading.notes, reading.spec.encoding, reading.progress)
    if content.strip():
        return content
    if not reading.findings.found:
        reading.findings.add(path, "this file is empty; a table has a row for each example")
    return ""


def _tell_checking(path: Path, content: str, count: int, progress: Progress | None) -> None:
    if progress and len(content) >= text_file.LARGE:
        progress(f"checking the {format_quantity(count, 'row')} of {path.name}", 0, None)
