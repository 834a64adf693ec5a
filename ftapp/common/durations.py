"""Lengths of time as people type them: 90s, 55m, 8h, 1h30m, or a plain number of seconds."""

from __future__ import annotations

import re

from ftapp.common.errors import quote

_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_FORM = re.compile(rf"(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s?)?", re.ASCII)
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_LOOSE = re.compile(rf"({_NUMBER})\s*([dhms])", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})", re.ASCII)


def parse_duration(text: str) -> float:
    """Parse a length of time.

    Args:
        text: Hours, minutes and seconds, at least one of them, such as 1h30m; a number without a unit is of seconds.

    Returns:
        Seconds, above 0.

    Raises:
        ValueError: It has another form, or is 0; the message names the nearest form.
    """
    found = _FORM.fullmatch(text)
    seconds = _sum(found.groups()) if found else 0.0
    if seconds <= 0:
        raise ValueError(
            f"{quote(text)} is no length of time above 0; it is written in hours, minutes and seconds, such as "
            f"{_suggest(text)}"
        )
    return seconds


def _sum(parts: tuple[str | None, ...]) -> float:
    """Add hours, minutes and seconds."""
    return sum(float(part or 0) * unit for part, unit in zip(parts, _UNITS.values(), strict=True))


def _suggest(text: str) -> str:
    """Write what may be meant by a text in the right form."""
    seconds = 0.0
    if clock := _CLOCK.fullmatch(text.strip()):
        seconds = _sum(clock.groups())
    else:
        for number, unit in _LOOSE.findall(text.lower()):
            seconds += float(number) * (24 * _UNITS["h"] if unit == "d" else _UNITS[unit])
    hours, rest = divmod(round(seconds), 3600)
    parts = ((hours, "h"), (rest // 60, "m"), (rest % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "90s, 55m or 1h30m"
