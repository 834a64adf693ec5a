"""`csv:` and `jsonl:`: a text, and for classification a label, in each row of a table.

Rows are numbered as a spreadsheet shows them: the header of a CSV file is row 1. Lines of a JSON lines file count from
1. Texts stay as they are but for `<br />` tags, which become a space.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ftapp import fetch
from ftapp.data import labels
from ftapp.data.examples import Findings, Texts
from ftapp.data.texts import decoded, prepare
from ftapp.errors import nearest
from ftapp.fetch import Progress
from ftapp.recipe import Data
from ftapp.sources import Source

_MAX_FIELD = 1 << 30  # bytes; the csv module's own limit of 128 KiB is less than a chapter

Row = tuple[str, dict[str, Any]]
"""Where it stands ("row 7"), and column -> value."""


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Texts:
    """The texts of a table, with labels unless the task is causal-lm.

    Raises RecipeError, naming rows, for a missing column, a row with another number of fields, malformed JSON, text
    that is not UTF-8, an empty text, a missing label, a label outside `data.classes`, and for fewer than two classes.
    """
    path = fetch.artifact(source.artifact, progress) if source.artifact else Path(source.name)
    findings = Findings()
    content = decoded(path, findings)
    rows = list((_csv_rows if source.scheme == "csv" else _json_rows)(path, content, findings))
    labelled = task != "causal-lm"
    wanted = {spec.text_column: "data.text_column", **({spec.label_column: "data.label_column"} if labelled else {})}
    _check_columns(path, rows, {**dict.fromkeys(source.where, "data.source"), **wanted}, findings)
    kept = [row for row in rows if all(_plain(row[1].get(key)) == value for key, value in source.where.items())]
    if rows and not kept and not findings.found:
        column, value = next(iter(source.where.items()), ("", ""))
        found = sorted({_plain(row.get(column)) for _, row in rows})
        findings.add(path, f"no row has {column} = '{value}'; {nearest(value, found)}")
    if not rows and not findings.found:
        findings.add(path, "a table has a row for each example; this one has none")
    findings.check()

    texts = [_text(path, place, row.get(spec.text_column), findings) for place, row in kept]
    if not labelled:
        findings.check()
        return Texts(texts)
    named = [_label(path, place, row.get(spec.label_column), findings) for place, row in kept]
    classes = tuple(spec.classes) if spec.classes else labels.in_order(name for name in named if name)
    known = labels.positions({name for name in named if name}, classes)
    for (place, _), name in zip(kept, named, strict=True):
        if name and name not in known:
            message = f"a label is one of data.classes; got '{name}'; {nearest(name, classes)}"
            findings.add(path, message, place=place)
    if len(classes) < 2 and not findings.found:
        findings.add(path, f"classification takes at least two classes; every label is '{classes[0]}'")
    findings.check()
    return Texts(texts, np.array([known[name] for name in named], np.int32), classes)


def _csv_rows(path: Path, content: str, findings: Findings) -> Iterator[Row]:
    csv.field_size_limit(_MAX_FIELD)
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    header: list[str] | None = None
    number = 0
    while True:
        number += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            findings.add(path, f"row {number}, line {reader.line_num}: fields are separated by commas and quoted with "
                               f'" where they hold one; got {error}')  # fmt: skip
            return
        if not fields:
            continue
        if header is None:
            header = [name.strip() for name in fields]
        elif len(fields) != len(header):
            message = f"a row has as many fields as the header, {len(header)}; got {len(fields)}"
            findings.add(path, message, place=f"row {number}")
        else:
            yield f"row {number}", dict(zip(header, fields, strict=True))


def _json_rows(path: Path, content: str, findings: Findings) -> Iterator[Row]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            findings.add(path, f"a line is a JSON object; {error}", place=f"line {number}")
            continue
        if isinstance(row, dict):
            yield f"line {number}", row
        else:
            message = f"a line is a JSON object, {{...}}; got {line.strip()[:40]}"
            findings.add(path, message, place=f"line {number}")


def _check_columns(path: Path, rows: list[Row], wanted: dict[str, str], findings: Findings) -> None:
    """Columns that no row has. A JSON object that alone lacks one is found when its value is read."""
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    for name, key in wanted.items():
        if rows and name not in columns:
            findings.add(path, f"there is no column '{name}'; {nearest(name, columns)}", key)


def _text(path: Path, place: str, value: object, findings: Findings) -> str:
    if not isinstance(value, str):
        got = "nothing" if value is None else repr(value)[:40]
        findings.add(path, f"a text is a string; got {got}", place=place)
        return ""
    text = prepare(value)
    if not text.strip():
        findings.add(path, "a text has words; got an empty one", place=place)
    return text


def _label(path: Path, place: str, value: object, findings: Findings) -> str:
    """The name of a label: a string, or a whole number or truth value of JSON; "" and a finding for anything else."""
    if isinstance(value, str | int) and _plain(value):
        return _plain(value)
    arrived = "nothing" if value is None or isinstance(value, str) else repr(value)[:40]
    findings.add(path, f"a label is a name or a whole number; got {arrived}", place=place)
    return ""


def _plain(value: object) -> str:
    """A value as labels and filters write it: truth values as in JSON, other values without space around them."""
    return (str(value).lower() if isinstance(value, bool) else str(value)).strip()
