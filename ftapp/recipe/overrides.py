"""Changes that are laid over a recipe's tables before they are checked: profiles, arms and --set."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from ftapp.common.errors import quote, suggest_nearest

_LENGTHS = {"epochs", "steps"}
_DEEPEST = 8  # parts of a key; arm.NAME.phase.NAME.learning_rate.SELECTION has 6
# Lists of tables that are found by their names, and how their keys are written.
NAMED = {
    "phase": "a phase is a table of keys such as phase.{name}.epochs",
    "arm": "an arm is a table of keys such as arm.{name}.seed",
}


def list_names(tables: Any) -> list[str]:
    """List the names of a raw recipe's phases or arms; their numbers where they have none."""
    if not isinstance(tables, list):
        return []
    names = [table.get("name") if isinstance(table, dict) else None for table in tables]
    return [name if isinstance(name, str) else str(index) for index, name in enumerate(names)]


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Apply changes to tables: tables merge, other values replace, phases and arms are found by their names.

    A value of None, which TOML does not have, removes its key.

    Args:
        base: The tables.
        changes: The changes, as nested tables.

    Returns:
        The changed tables.

    Raises:
        ValueError: There is no phase or arm of a name, or it would not stay a table.
    """
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(old, list) and key in NAMED:
            result[key] = _merge_list(key, old, value)
        elif isinstance(value, Mapping) and (isinstance(old, dict) or old is None):
            merged = merge(old or {}, value)
            if merged or not value or old is not None:
                result[key] = merged
        else:
            result[key] = value
    return result


def _merge_list(kind: str, tables: list[Any], changes: Mapping[str, Any]) -> list[Any]:
    result, names = list(tables), list_names(tables)
    for name, change in changes.items():
        if name not in names:
            raise ValueError(f"there is no {kind} '{name}'; {suggest_nearest(name, names)}")
        index = names.index(name)
        if not isinstance(tables[index], dict) or not isinstance(change, Mapping):
            raise ValueError(f"{quote(change)} is no table; {NAMED[kind].format(name=name)}")
        # A phase's length is epochs or steps, so the one that is laid over takes the other's place.
        kept = {key: old for key, old in tables[index].items() if not (key in _LENGTHS and _LENGTHS & set(change))}
        result[index] = merge(kept, change)
    return result


def remove_overridden(change: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the part of a change that another change overrides; in a list of phases, the other change applies.

    Args:
        change: The change, as nested tables.
        other: The change that overrides it.

    Returns:
        The part that stays in force.
    """
    left: dict[str, Any] = {}
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(other.get(key), Mapping):
            if inner := remove_overridden(value, other[key]):
                left[key] = inner
        elif key in NAMED and isinstance(value, list) and isinstance(other.get(key), Mapping):
            names = list_names(value)
            left[key] = _merge_list(key, value, {name: each for name, each in other[key].items() if name in names})
        elif key not in other and not (key in _LENGTHS and _LENGTHS & set(other)):
            left[key] = value
    return left


def split_key(key: str) -> list[str]:
    """Split a dotted key into its parts; a part with dots, as in names of arms, stands in double quotes."""
    return [part.strip('"') for part in re.split(r"""\.(?=(?:[^"]*"[^"]*")*[^"]*$)""", key)]


def do_overlap(first: str, second: str) -> bool:
    """Tell whether a change of one dotted key overrides one of another: a part of it, or a phase's other length."""
    one, other = split_key(first), split_key(second)
    if one[:-1] == other[:-1] and {one[-1], other[-1]} == _LENGTHS:
        return True
    return all(a == b for a, b in zip(one, other, strict=False))


def make_arm_prefix(arm: str | None) -> str:
    """Make the prefix of an arm's own overrides; "" for the recipe, whose overrides apply to all arms."""
    return "" if arm is None else f'arm."{arm}".' if "." in arm else f"arm.{arm}."


def parse_value(text: str) -> Any:
    """Parse the text behind `key=`: a value of TOML, else the text itself; None, which means no value, where empty."""
    if not text.strip():
        return None
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except (ValueError, RecursionError):  # no TOML, a number of thousands of digits, or a thousand brackets
        return text


def parse_override(text: str) -> dict[str, Any]:
    """Parse `key=value`, such as phase.head.epochs=2, into nested tables.

    Args:
        text: The override.

    Returns:
        The change.

    Raises:
        ValueError: The text is no override.
    """
    if not text.isprintable():
        raise ValueError(f"{quote(text)} is not one line of UTF-8 text, as an override is")
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in split_key(key.strip())]
    if not equals or not all(parts):
        raise ValueError(f"{quote(text)} is not key=value, such as data.limit=1000")
    if len(parts) > _DEEPEST:
        raise ValueError(f"{quote(key)} has {len(parts)} parts; a key has at most {_DEEPEST}")
    nested: dict[str, Any] = {parts[-1]: parse_value(value)}
    for part in reversed(parts[:-1]):
        nested = {part: nested}
    return nested
