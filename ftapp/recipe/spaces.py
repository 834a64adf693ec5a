"""The values that a sweep tries for a key: an interval such as log(1e-5, 1e-2), or a list of choices."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ftapp.common.errors import quote, suggest_nearest
from ftapp.common.formatting import format_quantity
from ftapp.recipe.overrides import parse_value, split_key
from ftapp.recipe.toml_text import format_value

Kind = Literal["log", "linear", "int", "choices"]

_KINDS: dict[str, Kind] = {"log": "log", "linear": "linear", "uniform": "linear", "int": "int"}
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\(([^()]*)\)\s*")
_EXAMPLES = "log(1e-5, 1e-2), linear(0, 0.5), int(1, 8), or a list such as [16, 32]"
_DIGITS = 3  # significant ones of a number that is tried: finer ones tell nothing and are hard to read
_MOST_CHOICES = 100
_SMALL = 0.05  # below which numbers are rates, whose powers of ten matter


@dataclass(frozen=True)
class Space:
    """The values of one key.

    Attributes:
        kind: log and linear are intervals of real numbers, even in the logarithm or in the number; int is an interval
            of whole numbers, both ends included.
        low: The lower end of an interval.
        high: Its upper end.
        choices: The values of a list.
    """

    kind: Kind
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()

    @property
    def extremes(self) -> list[Any]:
        """The values that have to be valid for all others to be: both ends, or all choices."""
        if self.kind == "choices":
            return list(self.choices)
        return [int(end) if self.kind == "int" else end for end in (self.low, self.high)]

    @property
    def size(self) -> int | None:
        """How many values there are; None for an interval of real numbers."""
        if self.kind == "choices":
            return len(self.choices)
        return int(self.high - self.low) + 1 if self.kind == "int" else None

    def contains(self, value: Any) -> bool:
        """Tell whether a value is one of these."""
        if self.kind == "choices":
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high and (self.kind != "int" or value == int(value))

    def round(self, value: float) -> float | int:
        """Round a number of an interval as it is tried: to three digits, within the interval."""
        if self.kind == "int":
            return int(value)
        return min(max(_shorten(value), self.low), self.high)

    def place(self, value: Any) -> float:
        """Return where a value lies between the first, 0, and the last, 1. It may lie outside."""
        if self.kind == "choices":
            return self.choices.index(value) / max(1, len(self.choices) - 1) if value in self.choices else math.nan
        if isinstance(value, bool) or not isinstance(value, int | float) or (self.kind == "log" and value <= 0):
            return math.nan
        low, high, at = (
            (math.log(each) for each in (self.low, self.high, value))
            if self.kind == "log"
            else (self.low, self.high, value)
        )
        return (at - low) / (high - low)

    def to_value(self) -> str | list[Any]:
        """Return the space as a recipe writes it, from which `parse_space` makes it again."""
        if self.kind == "choices":
            return list(self.choices)
        low, high = self.extremes
        return f"{self.kind}({low!r}, {high!r})"

    def __str__(self) -> str:
        value = self.to_value()
        return value if isinstance(value, str) else format_value(value)


def parse_space(given: Any) -> Space:
    """Parse the values that a sweep tries for a key.

    Args:
        given: A list of choices, or a text such as log(1e-5, 1e-2).

    Raises:
        ValueError: It is neither.
    """
    if isinstance(given, list | tuple):
        return _make_choices(list(given))
    found = _CALL.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        raise ValueError(f"{quote(given)} names no values to try; they are written {_EXAMPLES}")
    name, arguments = found[1], [part.strip() for part in found[2].split(",")]
    if name not in _KINDS:
        raise ValueError(f"{quote(given)} is no interval; {suggest_nearest(name, _KINDS)} Such as {_EXAMPLES}")
    try:
        numbers = [int(part) if name == "int" else float(part) for part in arguments]
        is_finite = all(map(math.isfinite, numbers))
    except (ValueError, OverflowError):
        whole = "whole numbers" if name == "int" else "numbers"
        raise ValueError(f"{quote(given)} has ends that are no {whole}; an interval is written {_EXAMPLES}") from None
    if len(numbers) != 2:
        count = format_quantity(len(numbers), "number")
        raise ValueError(f"{quote(given)} has {count}; an interval has two ends, such as {_EXAMPLES}")
    low, high = numbers
    if not is_finite:
        raise ValueError(f"{quote(given)} has an end that is no finite number; an interval is written {_EXAMPLES}")
    if low >= high:
        hint = f"did you mean {name}({arguments[1]}, {arguments[0]})?" if low > high else "both ends are the same"
        raise ValueError(f"{quote(given)} is empty: the lower end comes first, and is below the upper one; {hint}")
    if name == "log" and low <= 0:
        raise ValueError(f"{quote(given)} begins at {low:g}; a logarithm is of numbers above 0, such as log(1e-6, 1)")
    return Space(_KINDS[name], low, high)


def _make_choices(values: list[Any]) -> Space:
    if len(values) < 2:
        count = format_quantity(len(values), "choice")
        raise ValueError(f"{quote(values)} has {count}; a sweep tries two or more, such as [16, 32]")
    if len(values) > _MOST_CHOICES:
        raise ValueError(f"the list has {len(values)} choices; the most are {_MOST_CHOICES}")
    for number, value in enumerate(values):
        if value in values[:number]:
            raise ValueError(f"the choice {quote(value)} stands twice; each choice stands once")
    return Space("choices", choices=tuple(values))


def propose_space(value: Any, choices: Sequence[Any], fits: Callable[[Any], bool]) -> str | list[Any]:
    """Propose values to try around a value, as `parse_space` takes them.

    Args:
        value: The value.
        choices: All values that there are, where these are few.
        fits: Whether the key can have a value.
    """
    if choices:
        return list(choices)
    if isinstance(value, bool):
        return [False, True]
    if isinstance(value, int) and not fits(value + 0.5):  # the key has whole numbers alone
        return [each for each in sorted({value // 2, value, 2 * value or 1}) if fits(each)]
    if isinstance(value, int | float):
        is_rate = isinstance(value, float) and 0 < value < _SMALL
        lows = [value / 10, value / 2] if is_rate else [0.0, value / 10, value / 2]
        highs = [10 * value, 2 * value] if is_rate else [2 * value or 0.5]
        low, high = (next(filter(fits, map(_shorten, ends)), value) for ends in (lows, highs))
        return str(Space("log" if is_rate else "linear", low, high)) if low < high else [value]
    return [] if value is None else [value]


def _shorten(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def parse_over(text: str) -> tuple[str, Any]:
    """Parse KEY=VALUES of the command line.

    Args:
        text: Such as phase.head.learning_rate=log(1e-5,1e-2).

    Returns:
        The key without quotes, and what `parse_space` takes.

    Raises:
        ValueError: The text has no key or no values.
    """
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values.strip():
        raise ValueError(f"{quote(text)} is not KEY=VALUES, such as 'phase.head.learning_rate=log(1e-5, 1e-2)'")
    return ".".join(part.strip() for part in split_key(key.strip())), parse_value(values.strip())
