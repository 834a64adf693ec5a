"""The reference of events.jsonl, made from the types that write and read it."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Collection, Iterator

import msgspec

from ftapp.runs import events
from json_schema import Schema, format_table

_INTRODUCTION = """# Event reference

`events.jsonl` in a run's folder holds all events of the run, a JSON object on each line.
Everything that ftapp shows about a run is made only from these lines.
This page is generated from the types that write and read them.

A reader must expect an incomplete last line, unknown events and unknown fields.
A field with its default value is not written.
Every event has two more fields than its table: `event`, its name, and `time`, in seconds since 1970.
"""


def make_page() -> str:
    """Make the page in Markdown."""
    kinds = typing.get_args(events.AnyEvent)
    _, components = msgspec.json.schema_components(kinds)
    tags = {kind.__name__: kind.__struct_config__.tag for kind in kinds}
    lines = [_INTRODUCTION]
    for name in (*tags, *(name for name in components if name not in tags)):
        lines += _write_section(name, tags.get(name), components)
    return "\n".join(lines)


def _write_section(name: str, tag: str | None, components: dict[str, Schema]) -> Iterator[str]:
    schema = components[name]
    fields = [key for key in schema["properties"] if key not in ("event", "time")]
    about, meanings = split_docstring(inspect.cleandoc(schema.get("description", "")), fields)
    yield f"\n## {f'`{tag}`' if tag else name} {{#{name.lower()}}}\n"
    yield about + "\n"
    if fields:
        yield from format_table(schema, fields, components, meanings)


def split_docstring(docstring: str, fields: Collection[str]) -> tuple[str, dict[str, str]]:
    """Split a docstring into what it says of the whole and what it says of each field.

    Args:
        docstring: Text in which "name: meaning" explains a field and "one, other: meaning" two.
        fields: The names.

    Returns:
        The text before the first field that is explained, and the meanings by name.
    """
    name = f"(?:{'|'.join(map(re.escape, fields))})"
    explained = re.compile(rf"(?<![\w`.])({name}(?:, {name})*):\s") if fields else None
    found = list(explained.finditer(docstring)) if explained else []
    if not found:
        return docstring, {}
    ends = [each.start() for each in found[1:]] + [len(docstring)]
    meanings: dict[str, str] = {}
    for each, end in zip(found, ends, strict=True):
        meaning = docstring[each.end() : end].strip().rstrip(";.")
        meanings |= dict.fromkeys(each[1].split(", "), meaning[:1].upper() + meaning[1:])
    return docstring[: found[0].start()].removesuffix("Attributes:\n    ").strip().rstrip(";"), meanings
