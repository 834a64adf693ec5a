"""Rows of Parquet and Arrow files, read by pyarrow: the columns that are needed alone, some thousand rows at a time.

The content of a file says which of these it is. Arrow files are also called Feather; the library `datasets` writes the
streaming form of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from ftapp.common.formatting import join_names
from ftapp.common.safe_files import explain_error, name_other_kind
from ftapp.data import json_rows
from ftapp.data.examples import DataProblems
from ftapp.data.labels import override

_BATCH = 4096  # rows
_SAMPLE = 500  # rows of all columns, for messages about a missing one
_HEAD = 1 << 16  # bytes by which the kind of another file is guessed


def read(
    path: Path, needed: Mapping[str, str], findings: DataProblems, notes: list[str], *, names_classes: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the rows of a file.

    Where the file lacks a needed column, some rows of all its columns are read, for a message about it.

    Args:
        path: The file.
        needed: The columns to read, each with the recipe's key that names it.
        findings: Gets problems.
        notes: Gets decisions in sentences.
        names_classes: Whether the numbers of classes become names where the file has these, as the library `datasets`
            writes them.

    Yields:
        The place of each row, such as "row 7", and column -> value. Values are those of JSON: dates and times become
        text, and decimals numbers. Only images stay bytes.
    """
    import pyarrow

    opener = _choose_opener(path, findings)
    if opener is None:
        return
    try:
        with ExitStack() as stack:
            schema, list_batches = opener(path, stack)
            names = schema.names
            for name in needed:
                if (count := names.count(name)) > 1:
                    findings.add(path, f"{count} columns are named '{name}'; each column has a name of its own",
                                 needed[name])  # fmt: skip
            if findings.found:
                return
            if not set(needed) <= set(names):
                for batch in list_batches(names, _SAMPLE):
                    yield from _make_rows(names, [column.to_pylist() for column in batch[:_SAMPLE].columns], 1)
                    return
                return
            classes = _find_class_names(schema.metadata, needed, notes) if names_classes else {}
            number = 1
            for batch in list_batches(list(needed), _BATCH):
                columns = [
                    _list_values(batch.column(name), keeps_bytes=key == "data.image_column")
                    for name, key in needed.items()
                ]
                for at, name in enumerate(needed):
                    if name in classes:
                        columns[at] = [_name_class(value, classes[name]) for value in columns[at]]
                yield from _make_rows(list(needed), columns, number)
                number += batch.num_rows
    except (pyarrow.ArrowException, OSError, ValueError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        findings.add(path, f"this file cannot be read, it is damaged or of a kind that is not known: {reason}")


def count_rows(path: Path) -> int | None:
    """Count the rows of a Parquet file; None of an Arrow file, whose rows only reading counts."""
    import pyarrow
    from pyarrow import parquet

    try:
        return int(parquet.read_metadata(path).num_rows)
    except (pyarrow.ArrowException, OSError):
        return None


_Opened = tuple[Any, Callable[[list[str], int], Iterator[Any]]]
"""The schema of a file, and what lists the batches of some columns, of so many rows at most where the file can."""


def _open_parquet(path: Path, stack: ExitStack) -> _Opened:
    from pyarrow import parquet

    file = stack.enter_context(parquet.ParquetFile(path))
    return file.schema_arrow, lambda columns, size: file.iter_batches(size, columns=columns)


def _open_arrow(path: Path, stack: ExitStack) -> _Opened:
    import pyarrow

    reader = stack.enter_context(pyarrow.ipc.open_file(stack.enter_context(pyarrow.memory_map(str(path)))))
    batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
    return reader.schema, lambda columns, size: (batch.select(columns) for batch in batches)


def _open_stream(path: Path, stack: ExitStack) -> _Opened:
    import pyarrow

    reader = stack.enter_context(pyarrow.ipc.open_stream(stack.enter_context(pyarrow.memory_map(str(path)))))
    return reader.schema, lambda columns, size: (batch.select(columns) for batch in reader)


_OPENERS: tuple[tuple[bytes, Callable[[Path, ExitStack], _Opened]], ...] = (
    (b"PAR1", _open_parquet),
    (b"ARROW1", _open_arrow),
    (b"\xff\xff\xff\xff", _open_stream),
)
"""By the first bytes of a file."""


def _make_rows(
    names: Sequence[str], columns: Sequence[Sequence[Any]], first: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, values in enumerate(zip(*columns, strict=True), start=first):
        yield f"row {number}", dict(zip(names, values, strict=True))


def _list_values(array: Any, *, keeps_bytes: bool) -> list[Any]:
    """List the values of an Arrow array as JSON has them."""
    import pyarrow
    from pyarrow import types

    if isinstance(array.type, pyarrow.BaseExtensionType):
        array = array.storage
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    if types.is_temporal(kind) and not types.is_duration(kind):
        array = array.cast(pyarrow.string())
    elif types.is_float16(kind):
        array = array.cast(pyarrow.float32())
    values: list[Any] = array.to_pylist()
    if is_bytes and not keeps_bytes:  # as some programs write text
        return [value if value is None else value.decode("utf-8", "replace") for value in values]
    if types.is_decimal(kind):
        return [_simplify(value) for value in values]
    return values


def _simplify(value: Decimal | None) -> int | float | None:
    return value if value is None else int(value) if value == value.to_integral_value() else float(value)


def _find_class_names(
    metadata: Mapping[bytes, bytes] | None, needed: Mapping[str, str], notes: list[str]
) -> dict[str, list[str]]:
    """Find the names of the classes in the description that the library `datasets` puts into a file."""
    found: dict[str, list[str]] = {}
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        for name, key in needed.items():
            feature = features.get(name, {}) if key == "data.label_column" else {}
            names = feature.get("feature", feature).get("names")  # of a list of classes, or of one
            if isinstance(names, list) and names and all(isinstance(each, str) for each in names):
                found[name] = names
                notes.append(f"the file names the classes: {join_names(names)}")
    return found


def _name_class(value: Any, names: Sequence[str]) -> Any:
    """Return the name of a class by its number, of a list their names; None for -1, a missing label."""
    if isinstance(value, list):
        return [_name_class(each, names) for each in value]
    if not isinstance(value, int) or value >= len(names) or value < -1:
        return value
    return None if value == -1 else names[value]


def _choose_opener(path: Path, findings: DataProblems) -> Callable[[Path, ExitStack], _Opened] | None:
    """Choose how to open a file by its first bytes; None with a finding for other files."""
    try:
        if kind := name_other_kind(path):
            findings.add(path, f"this is {kind}; examples are read from a file")
            return None
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        findings.add(path, f"this file cannot be read: {explain_error(error)}")
        return None
    opener = next((opener for start, opener in _OPENERS if head.startswith(start)), None)
    if opener is None:
        findings.add(path, _explain_other(path, head))
    return opener


def _explain_other(path: Path, head: bytes) -> str:
    if head.startswith(b"PARE"):
        return "this Parquet file is encrypted; write it without encryption"
    if not head:
        return "this file is empty; a table has a row for each example"
    text = head.decode("utf-8", "replace")
    if "\0" in text:
        return "this is no Parquet or Arrow file by its first bytes; name the file that holds the examples"
    scheme = "jsonl" if json_rows.is_json(text.partition("\n")[0]) else "csv"
    return f"this is text and no Parquet or Arrow file; {override('data.source', f'{scheme}:{path}')}"
