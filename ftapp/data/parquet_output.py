"""A Parquet file made of JSON lines, some thousand rows at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

Kind = Literal["text", "number", "texts", "numbers"]
"""The type of a column: strings or float32, or lists of them."""

_ROW_GROUP = 10_000


def write_parquet(
    lines: Path, file: Path, columns: Mapping[str, Kind], report: Callable[[int], None] = lambda rows: None
) -> None:
    """Write the rows of a file of JSON lines to a Parquet file.

    Args:
        lines: The file of JSON lines: objects with a value for each column, or null.
        file: The Parquet file.
        columns: The names of the columns in order, each with its type. In a column of texts, other values become JSON.
        report: Called with the rows written.

    Raises:
        OSError: A file cannot be read or written.
    """
    import pyarrow
    from pyarrow import parquet

    text, number = pyarrow.string(), pyarrow.float32()
    types = {"text": text, "number": number, "texts": pyarrow.list_(text), "numbers": pyarrow.list_(number)}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
    texts = [name for name, kind in columns.items() if kind == "text"]
    done = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for rows in _read_groups(lines, texts):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))
            done += len(rows)
            report(done)


def _read_groups(lines: Path, texts: list[str]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    with lines.open("rb") as file:
        for line in file:
            row = json.loads(line)
            group.append(row | {name: _write_text(row[name]) for name in texts})
            if len(group) == _ROW_GROUP:
                yield group
                group = []
    if group:
        yield group


def _write_text(value: Any) -> str | None:
    return value if isinstance(value, str | None) else json.dumps(value)
