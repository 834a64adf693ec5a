"""Values as TOML on one line, as `--set` and forms write them."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from typing import Any


def format_value(value: Any) -> str:
    """Write a value as TOML on one line.

    Args:
        value: A string, path, number, truth value, list or mapping; numbers and arrays of NumPy too.

    Returns:
        The text, which `tomllib` reads back as the same value.

    Raises:
        TypeError: The value is of another type.
    """
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_format_key(key)} = {format_value(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(format_value, value)) + "]"
    if isinstance(value, float):
        return float.__repr__(value)  # NumPy's float64 is a float with a name around its number
    return json.dumps(value, ensure_ascii=False, default=_simplify)


def format_override(key: str, value: Any) -> str:
    """Write a change as `--set` reads it back.

    Args:
        key: The dotted key.
        value: The new value; None removes the key.

    Returns:
        `key=value`. A string stands without quotes where TOML cannot take it for another value.

    Raises:
        TypeError: The value is of a type that TOML does not have.
    """
    return f"{key}={'' if value is None else _format_bare(value)}"


def _format_bare(value: Any) -> str:
    literal = format_value(value)
    if not isinstance(value, str):
        return literal
    try:
        tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return value if value and value == value.strip() and value.isprintable() else literal
    return literal


def _simplify(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # a number or an array of NumPy
        return value.tolist()
    raise TypeError(f"{value!r} is no text, path, number, truth value, list or table")


def _format_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
