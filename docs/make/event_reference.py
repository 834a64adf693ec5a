"""The reference of events.jsonl, made from the types that write and read it."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Collection, Iterator

import msgspec

from ftapp.runs import events
from json_schema import Schema, cell, default, describe

_INTRODUCTION = """# Event reference

`events.jsonl` in a run's folder holds all that happened, one JSON object a line.
Everything that ftapp shows of a run is made from these lines and nothing else.
This page is made from the types that write and read them.

A reader must expect a last line that is not whole, and events and fields that it does not know.
A field with its default value is not written.
Every event has two fields beside those of its table: `event`, which is its name, and `time`, in seconds since 1970.
"""


def page() -> str:
    """The page in Markdown."""
    kinds = typing.get_args(events.AnyEvent)
    _, components = msgspec.json.schema_components(kinds)
    tags = {kind.__name__: kind.__struct_config__.tag for kind in kinds}
    lines = [_INTRODUCTION]
    for name in (*tags, *(name for name in components if name not in tags)):
        lines += _section(name, tags.get(name), components)
    return "\n".join(lines)


def _section(name: str, tag: str | None, components: dict[str, Schema]) -> Iterator[str]:
    schema = components[name]
    fields = {key: value for key, value in schema["properties"].items() if key not in ("event", "time")}
    about, meanings = explain(inspect.cleandoc(schema.get("description", "")), fields)
    yield f"\n## {f'`{tag}`' if tag else name} {{#{name.lower()}}}\n"
    yield about + "\n"
    if fields:
        yield "| field | value | default | meaning |\n|---|---|---|---|"
    for key, value in fields.items():
        holds = default(value, required=key in schema.get("required", ()))
        yield f"| `{key}` | {cell(describe(value, components))} | {holds} | {cell(meanings.get(key, ''))} |"


def explain(docstring: str, fields: Collection[str]) -> tuple[str, dict[str, str]]:
    """Part a docstring into what it says of the whole and what it says of each field.

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
