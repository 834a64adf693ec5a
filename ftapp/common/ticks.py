"""Axes drawn in rows of text: ticks at round numbers, each as many rows above the last.

An axis that ends exactly where its values do has ticks between rows, and rounding them to rows makes their distances
uneven. So the ends follow from the ticks: a row is a whole part of the distance between two ticks, and a tick is at
the centre of its row, where its label stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_MOST_ROWS = 6  # between two ticks
_TALL = 12  # rows, from which on ticks are at least three rows apart
_USUAL = 6  # ticks on an axis
_LOOSE = 1.6  # times the span of the values: an axis that is longer is worth a look at finer ticks
_RATIOS = (2, 1.2, 1.1, 1.05, 1.02, 1.01, 1.005, 1.002, 1.001)  # between ticks of a logarithmic axis, below 10


@dataclass(frozen=True)
class Axis:
    """low, high: the edges of the lowest and of the highest row; interval: between two ticks; between: their rows.

    On a logarithmic axis low, high and interval are base-10 logarithms.
    """

    low: float
    high: float
    interval: float
    between: int
    log: bool = False

    @property
    def ticks(self) -> list[float]:
        """The ticks from the lowest up, each at the centre of its row."""
        first, last = math.ceil(self.low / self.interval), math.floor(self.high / self.interval)
        return [_format_times(number, self.interval) for number in range(first, last + 1)]

    def find_row(self, tick: float) -> int:
        """The row of a tick, counted from 0 at the bottom."""
        return math.floor((tick - self.low) / self.interval * self.between)

    def labels(self) -> list[str]:
        """The ticks in few characters."""
        if self.log:
            digits = max(3, 2 - math.floor(math.log10(10**self.interval - 1)))
            return [shorten_number(10**tick, digits) for tick in self.ticks]
        return labels(self.ticks, self.interval)


def fit_axis(low: float, high: float, rows: int, *, log: bool = False) -> Axis:
    """The shortest axis of so many rows that holds all from `low` to `high`, with two ticks at least from 4 rows on.

    low, high: finite, and logarithms where `log`; rows: 2 or more.
    """
    if not high > low:
        margin = 0.5 if log else 0.1 * abs(low) or 1.0
        low, high = low - margin, low + margin
    span = high - low
    found: list[Axis] = []
    for intervals, most in _list_families(span, rows, log):
        least = min(3 if rows >= _TALL else 2, max(1, rows // 2))
        fitting = [
            axis
            for interval in intervals
            for between in range(least, max(least, min(most, rows // 2)) + 1)
            if (axis := _find_around(low, high, interval, between, rows, log))
        ]
        found += fitting
        if fitting and min(axis.high - axis.low for axis in fitting) <= _LOOSE * span:
            found = fitting
            break
    return min(found, key=lambda axis: (round((axis.high - axis.low) / span, 6), abs(rows / axis.between - _USUAL)))


def _list_families(span: float, rows: int, log: bool) -> Iterator[tuple[Iterable[float], int]]:
    """Distances between ticks, those to prefer first, each with the most rows between two."""
    power = math.floor(math.log10(span / rows))
    round_numbers = [factor * 10.0**exponent for exponent in range(power, power + 4) for factor in (1, 2, 5)]
    if not log:
        yield round_numbers, _MOST_ROWS
        return
    yield [1], rows
    yield [interval for interval in round_numbers if interval > 1], rows
    for ratio in _RATIOS:
        yield [math.log10(ratio)], rows if ratio == 2 else _MOST_ROWS


def _find_around(low: float, high: float, interval: float, between: int, rows: int, log: bool) -> Axis | None:
    """The axis with these ticks, if it is long enough; the values end inside of its rows, not at the edges."""
    row = interval / between
    bottom = math.floor(low / row + 0.5 - 1e-6) - 0.5
    top = bottom + rows
    return Axis(bottom * row, top * row, interval, between, log) if top >= high / row + 1e-6 else None


def _format_times(number: int, interval: float) -> float:
    """A multiple of an interval; divided where that is exact, since products such as 3 * 0.1 are not."""
    return (
        number / round(1 / interval)
        if interval < 1 and abs(1 / interval - round(1 / interval)) < 1e-6
        else number * interval
    )


def labels(ticks: Sequence[float], interval: float) -> list[str]:
    """Ticks of a linear axis in few characters, all with as many digits behind the point: 0.70, 12k, 1.5M, 1e-05."""
    largest = max(map(abs, ticks), default=0.0)
    unit, sign = (1e6, "M") if largest >= 1e6 else (1e3, "k") if largest >= 1e4 else (1.0, "")
    digits = max(0, -math.floor(math.log10(interval / unit) + 1e-9))
    if digits > 5 or largest >= 1e10:
        return [f"{tick:.{1 + max(0, math.ceil(math.log10(largest / interval) - 1e-9))}g}" for tick in ticks]
    return [f"{tick / unit:.{digits}f}{sign if tick else ''}" for tick in ticks]


def shorten_number(value: float, digits: int = 4) -> str:
    """A number in few characters, of so many significant digits: 0.25, 1e-05, 12k, 1.5M."""
    for limit, unit, sign in ((1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if limit <= abs(value) < 1e9:
            return f"{value / unit:.{digits}g}{sign}"
    return f"{value:.{digits}g}"
