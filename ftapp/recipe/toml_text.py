"""Values as TOML on one line, as `--set` and forms write them."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any


def format_value(value: Any) -> str:
    """Write a value as TOML on one line.

    Args:
        value: A string, number, truth value, list or mapping.

    Returns:
        The text, which `tomllib` reads back as the same value.
    """
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_format_key(key)} = {format_value(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(format_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def format_override(key: str, value: Any) -> str:
    """Write a change as `--set` reads it back.

    Args:
        key: The dotted key.
        value: The new value; None removes the key.

    Returns:
        `key=value`. A string stands without quotes where TOML cannot take it for another value.
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


def _format_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
