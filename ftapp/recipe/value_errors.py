"""Sentences about values that a schema refuses, made of the errors of Pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftapp.common.errors import quote, shorten, suggest_nearest

_BOUNDS = {
    "greater_than": ("gt", "is too small; it is above {}"),
    "greater_than_equal": ("ge", "is too small; the least is {}"),
    "less_than": ("lt", "is too large; it is below {}"),
    "less_than_equal": ("le", "is too large; the most is {}"),
    "too_short": ("min_length", "has too few items; the least is {}"),
    "too_long": ("max_length", "has too many items; the most is {}"),
}

_KINDS = {
    "string_type": "text in quotes",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "number"),
    "finite_number": "finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "truth value; it is true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "list in square brackets"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "table of keys"),
}
"""What a value is not, by the type of the error."""


def explain_value(error: Mapping[str, Any]) -> str:
    """Say what is wrong with a value, and the rule.

    Args:
        error: One of the errors of a `ValidationError` of Pydantic.

    Returns:
        The sentence, without the value's key.
    """
    arrived, kind, context = quote(error["input"]), error["type"], error.get("ctx", {})
    if kind == "missing":
        return "this key is required and is missing"
    if kind == "literal_error":
        choices = [choice.strip().strip("'") for choice in context["expected"].replace(" or ", ", ").split(",")]
        word = error["input"] if isinstance(error["input"], str) else arrived
        return f"unknown value {arrived}; {suggest_nearest(word, choices)}"
    if kind == "value_error":
        return shorten(str(context["error"]))
    if kind in _KINDS:
        return f"{arrived.lower() if isinstance(error['input'], bool) else arrived} is no {_KINDS[kind]}"
    if kind in _BOUNDS:
        name, rule = _BOUNDS[kind]
        bound = context[name]
        return f"{arrived} {rule.format(f'{bound:g}' if isinstance(bound, float) else bound)}"
    rule = error["msg"].removeprefix("Input ")
    return f"{arrived} {rule}" if rule.startswith("should") else f"{arrived}: {rule[0].lower()}{rule[1:]}"
