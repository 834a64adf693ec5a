"""The reference of events.jsonl, made from the types that write and read it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator

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
    yield f"\n## {f'`{tag}`' if tag else name} {{#{name.lower()}}}\n"
    yield inspect.cleandoc(schema.get("description", "")) + "\n"
    fields = {key: value for key, value in schema["properties"].items() if key not in ("event", "time")}
    if fields:
        yield "| field | value | default |\n|---|---|---|"
    for key, value in fields.items():
        holds = default(value, required=key in schema.get("required", ()))
        yield f"| `{key}` | {cell(describe(value, components))} | {holds} |"
