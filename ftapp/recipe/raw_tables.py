"""The raw tables of recipe files, before anything is laid over them and before they are checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftapp.common.errors import Problem, RecipeError, quote
from ftapp.common.safe_files import read_bytes

DESCRIPTIVE_KEYS = ("title", "summary")
"""The keys that tell readers what a recipe is; nothing that a run computes depends on them."""
_DEEPEST = 32  # tables in tables; a recipe has 6


def read(path: Path) -> dict[str, Any]:
    """Read the raw tables of a recipe file.

    Args:
        path: The recipe's file.

    Returns:
        The tables, profiles and arms included.

    Raises:
        RecipeError: The file is not TOML in UTF-8.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except OSError as error:
        raise RecipeError([Problem(str(path), "", f"the recipe cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            [Problem(str(path), "", f"byte {error.start} is not UTF-8; a recipe is UTF-8 text")]
        ) from error
    raw = parse_tables(text, str(path))
    named = raw.get("profile", {})
    wrong = [each for each in (named.values() if isinstance(named, dict) else [named]) if not isinstance(each, dict)]
    if wrong:
        message = f"{quote(wrong[0])} is no profile; profiles are tables such as [profile.quick]"
        raise RecipeError([Problem(str(path), "profile", message)])
    return raw


def parse_tables(text: str, place: str = "") -> dict[str, Any]:
    """Parse TOML text.

    Args:
        text: The text.
        place: Where it comes from, for messages.

    Returns:
        The tables.

    Raises:
        RecipeError: It is not TOML, or its tables are nested too deeply to walk through.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = f"{str(error)[0].lower()}{str(error)[1:]}"
        raise RecipeError([Problem(place, "", f"this is not TOML: {reason}")]) from error
    _check_depth(raw, place)
    return raw


def _check_depth(raw: dict[str, Any], place: str) -> None:
    """Raise RecipeError for tables that are nested too deeply to walk through."""
    level: list[Any] = [raw]
    for _ in range(_DEEPEST):
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, dict | list)
        ]
        if not level:
            return
    raise RecipeError([Problem(place, "", f"the tables are nested too deeply; a recipe has at most {_DEEPEST} levels")])


def flatten_tables(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Write nested tables as values by dotted keys.

    Args:
        tables: Values by keys, or tables of these.
        prefix: What stands before each key.
    """
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            flat |= flatten_tables(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
