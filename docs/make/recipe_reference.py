"""The reference of a recipe's keys, made from the schema that checks recipes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from ftapp.recipe import Recipe
from json_schema import Schema, format_table

_INTRODUCTION = """# Recipe reference

A recipe is a TOML file. This page is made from the schema that checks recipes, so it holds every key.
A key that is not listed here is refused. A value is never converted from one type to another.

`[profile.NAME]` tables hold keys that override others for a smaller machine; `--profile NAME` applies them.
`[[arm]]` tables hold the variants of an [experiment](../experiments.md).
`--set KEY=VALUE` overrides a key on the command line.
A phase's keys are then `phase.NAME.KEY`, as in `--set phase.head.epochs=5`.
"""


def make_page() -> str:
    """Make the page in Markdown."""
    schema = Recipe.model_json_schema()
    return "\n".join([_INTRODUCTION, *_write_sections(schema)])


def _write_sections(schema: dict[str, Any]) -> Iterator[str]:
    definitions, properties = schema["$defs"], schema["properties"]
    sections = {key: name for key, value in properties.items() if (name := _section_name(value))}
    yield "## Keys before the first table {#top}\n"
    yield from _write_table(schema, [key for key in properties if key not in sections], definitions)
    for key, name in sections.items():
        section, repeated = definitions[name], properties[key].get("type") == "array"
        heading = f"[[{key}]]" if repeated else f"[{key}]"
        yield f"\n## `{heading}` {{#{key}}}\n"
        yield section["description"] + "\n"
        if repeated:
            yield "The table can stand more than once.\n"
        elif key not in schema["required"]:
            yield "The table can be left out.\n"
        yield from _write_table(section, section["properties"], definitions)


def _write_table(section: Schema, keys: Collection[str], definitions: dict[str, Schema]) -> Iterator[str]:
    meanings = {key: section["properties"][key].get("description", "") for key in keys}
    return format_table(section, keys, definitions, meanings)


def _section_name(value: Schema) -> str | None:
    """The name of the section that a key holds, alone or in a list; None for a plain value."""
    for each in (value, value.get("items", {}), *value.get("anyOf", ())):
        if "$ref" in each:
            return str(each["$ref"].rpartition("/")[2])
    return None
