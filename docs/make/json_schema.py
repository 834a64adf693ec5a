"""Describes values of a JSON schema in words, for the reference pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
_ANY_FLOAT = 3.4e38  # the largest number of float32
_READABLE_BITS = 31  # from which on digits say less than the power


def describe(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    """Describe what a value may be, in Markdown.

    Args:
        schema: The JSON schema of the value.
        definitions: Schemas by name, for references.

    Returns:
        Words such as "whole number from 1 to 65,536".
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if "properties" in definitions[name] else describe(definitions[name], {})
    for form in ("anyOf", "oneOf"):
        if form in schema:
            return " or ".join(describe(each, definitions) for each in schema[form] if each.get("type") != "null")
    if "const" in schema:
        return _format_code(schema["const"])
    if "enum" in schema:
        return ", ".join(map(_format_code, schema["enum"]))
    match schema.get("type"):
        case "integer":
            return f"whole number{_describe_bounds(schema)}"
        case "number":
            return f"number{_describe_bounds(schema)}"
        case "boolean":
            return "`true` or `false`"
        case "string":
            return "text"
        case "array" if "prefixItems" in schema:
            return f"list of {len(schema['prefixItems'])} values"
        case "array":
            return f"list{_describe_length(schema)}: {describe(schema.get('items', {}), definitions)}"
        case "object" if "properties" in schema:
            return "table of " + ", ".join(map(_format_code, schema["properties"]))
        case "object":
            return f"table of: {describe(schema.get('additionalProperties', {}), definitions)}"
    return "any value"


def format_table(
    schema: Schema, keys: Collection[str], definitions: Mapping[str, Schema], meanings: Mapping[str, str]
) -> Iterator[str]:
    """Format keys of an object as a Markdown table: what each may be, its default and its meaning.

    Args:
        schema: The schema of the object.
        keys: Those of its keys that the table has.
        definitions: Schemas by name, for references.
        meanings: Explanations by key.

    Yields:
        The table's lines.
    """
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    for key in keys:
        value = schema["properties"][key]
        default = value.get("default")
        holds = "" if default is None else _format_code(default)
        cells = [
            f"`{key}`",
            describe(value, definitions),
            "required" if key in schema.get("required", ()) else holds,
            meanings.get(key, ""),
        ]
        yield f"| {' | '.join(map(_format_cell, cells))} |"


def _format_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _format_code(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f'`"{value}"`' if value == "" else f"`{value}`"


def _describe_bounds(schema: Schema) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and high is not None and -low == high >= _ANY_FLOAT:
        return ""
    above = f" above {_format_number(low)}" if "exclusiveMinimum" in schema else f" from {_format_number(low)}"
    below = f" to below {_format_number(high)}" if "exclusiveMaximum" in schema else f" to {_format_number(high)}"
    return f"{above * (low is not None)}{below * (high is not None)}"


def _describe_length(schema: Schema) -> str:
    low, high = schema.get("minItems", 0), schema.get("maxItems")
    if low == high:
        return f" of {low} values"
    if high is None:
        return f" of at least {low} values" if low else ""
    return f" of {low} to {high} values" if low else f" of at most {high} values"


def _format_number(value: Any) -> str:
    """Format a bound: a large power of two, of which many bounds are made, as a power."""
    if not isinstance(value, int):
        return "" if value is None else f"{value:g}"
    power = max(0, abs(value) - 1).bit_length()
    if power < _READABLE_BITS or 2**power - abs(value) > 1:
        return f"{value:,}"
    return f"{'-' * (value < 0)}2^{power}{' - 1' * (2**power - abs(value))}"
