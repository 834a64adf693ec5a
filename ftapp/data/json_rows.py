"""Rows of JSON: an object on each line, or a list of objects that is the whole file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ftapp.common.formatting import escape_unprintable

_LINE_END = re.compile(r"\r\n|\n|\r")  # JSON holds none of them inside of a string


@dataclass
class Rows:
    """The rows of a file.

    Attributes:
        rows: Rows, each with its place, such as "line 7".
        faults: Problems of other rows, each with its place; "" for the whole file.
    """

    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


class Object(dict[str, Any]):
    """An object of JSON.

    Args:
        pairs: Its keys and values.

    Attributes:
        twice: The keys that it has more than once; their last value counts.
    """

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = (
            [] if len(self) == len(pairs) else [key for key, n in Counter(k for k, _ in pairs).items() if n > 1]
        )


_decoder = json.JSONDecoder(object_pairs_hook=Object)


def read(content: str, wanted: Collection[str]) -> Rows:
    """Read the rows of a text.

    Args:
        content: The text of the file.
        wanted: Columns that no row may name twice.

    Returns:
        The rows, with the faults of others.
    """
    found = Rows()
    content = content.strip()
    if content.startswith("["):
        values, fault = _decode_list(content)
        if fault:
            found.faults.append(("", fault))
        for number, value in enumerate(values, start=1):
            _add(found, f"item {number}", value, wanted)
        return found
    lines = [(number, line) for number, line in enumerate(_LINE_END.split(content), start=1) if line.strip()]
    if message := _explain_single_object(content, is_one_line=len(lines) == 1):
        found.faults.append(("", message))
        return found
    for number, line in lines:
        value, fault = _decode_line(line)
        if fault:
            found.faults.append((f"line {number}", fault))
        else:
            _add(found, f"line {number}", value, wanted)
    return found


def stream(lines: Iterable[str]) -> Iterator[tuple[str, Object | None, str]]:
    """Read rows one after another, in bounded memory.

    Args:
        lines: The lines of the file; empty ones are left out.

    Yields:
        The place of each row; the row, None where the line is none; and what is wrong with it, else "".
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            value, fault = _decode_line(line)
            fault = fault or _explain_other(value)
            yield f"line {number}", None if fault else cast(Object, value), fault


def read_list(content: str) -> Iterator[tuple[str, Object | None, str]]:
    """Read the rows of a list in JSON in their order.

    Args:
        content: The text of the file.

    Yields:
        As `stream` does. Of a list that cannot be read, one row that says why.
    """
    values, fault = _decode_list(content)
    if fault:
        yield "list", None, fault
    for number, value in enumerate(values, start=1):
        fault = _explain_other(value)
        yield f"item {number}", None if fault else cast(Object, value), fault


def _decode_list(content: str) -> tuple[list[object], str]:
    """Decode a list of JSON. Returns its values, and why it cannot be read, else ""."""
    try:
        return _decoder.decode(content), ""
    except (ValueError, RecursionError) as error:
        return [], f"this list in JSON cannot be read: {_explain(error)}"


def _decode_line(line: str) -> tuple[object, str]:
    """Decode a line of JSON. Returns the value, and what is wrong with the line, else ""."""
    try:
        return _decoder.decode(line), ""
    except (ValueError, RecursionError) as error:
        return None, f"{_explain(error)}; a line is a JSON object"


def is_json(content: str) -> bool:
    """Tell whether a text begins with an object of JSON, or with a list of them."""
    if content.lstrip()[:1] not in ("[", "{"):
        return False
    first = _decode_first(content)
    return isinstance(first, dict) or (isinstance(first, list) and first != [] and isinstance(first[0], dict))


def _add(found: Rows, place: str, value: object, wanted: Collection[str]) -> None:
    if fault := _explain_other(value):
        found.faults.append((place, fault))
        return
    assert isinstance(value, Object)
    for name in value.twice:
        if name in wanted:
            found.faults.append((place, f"the object names '{name}' twice; each column has a name of its own"))
    found.rows.append((place, value))


def _explain_other(value: object) -> str:
    """Explain a value that is no object; "" for an object."""
    if isinstance(value, Object):
        return ""
    text = escape_unprintable(json.dumps(value, ensure_ascii=False))
    shown = text if len(text) <= 40 else f"{text[:39]}…"
    return f"{shown} is no object; each example is one, {{…}}"


def _explain_single_object(content: str, *, is_one_line: bool) -> str | None:
    """Explain a file that is one object over several lines, or one with a list of examples; None if it is neither."""
    first = _decode_first(content)
    if not isinstance(first, dict):
        return None
    begun = _LINE_END.split(content, maxsplit=1)[0]
    if not is_one_line and _decode_first(begun) is not None:
        return None
    lists = [key for key, value in first.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if lists:
        return f"this is one object, with a list of examples under '{lists[0]}'; each example is an object on a line " \
               f"of its own, as jq -c '.\"{lists[0]}\"[]' writes them"  # fmt: skip
    if is_one_line:
        return None
    return "an object is written over several lines; each one stands on a line of its own, as jq -c . writes them"


def _decode_first(content: str) -> object:
    """Decode the first value in a text; None where there is none."""
    try:
        return _decoder.raw_decode(content.lstrip())[0]
    except (ValueError, RecursionError):
        return None


def _explain(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, json.JSONDecodeError):  # Python reads whole numbers of at most some thousand digits
        return "it holds a number of thousands of digits, which is not read"
    return f"it is no JSON: {error}"
