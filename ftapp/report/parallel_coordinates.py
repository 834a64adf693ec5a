"""Parallel coordinates (Inselberg 1985, "The Plane with Parallel Coordinates"): an axis a key, and a line a trial."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from ftapp.recipe.spaces import Space
from ftapp.report.comparison import format_setting
from ftapp.report.svg import WIDTH, draw_empty, draw_text, shorten_label, wrap_svg

_TOP, _BOTTOM, _SIDE, _HEIGHT = 34, 22, 30, 270
_MOST_MARKS = 8  # choices that are named beside an axis


@dataclass(frozen=True)
class KeyAxis:
    """An axis.

    Attributes:
        name: What stands above it.
        low: The text at its lower end, 0.
        high: The text at its upper end, 1.
        marks: Other texts beside it by their places.
        place: Gives the place of a number on an axis of numbers.
    """

    name: str
    low: str
    high: str
    marks: tuple[tuple[float, str], ...] = ()
    place: Callable[[float], float] = lambda value: value

    @classmethod
    def of_space(cls, key: str, space: Space) -> KeyAxis:
        """Make the axis of a key that is searched."""
        low, *others, high = (format_setting(each) or "[]" for each in space.extremes)
        if space.kind != "choices" or len(others) > _MOST_MARKS:
            others = []
        marks = tuple(((index + 1) / (len(others) + 1), text) for index, text in enumerate(others))
        return cls(key, low, high, marks)

    @classmethod
    def of_numbers(cls, name: str, values: Sequence[float], write: Callable[[float], str]) -> KeyAxis:
        """Make the axis of numbers that were measured."""
        low, high = min(values), max(values)
        width = (high - low) or 1.0
        return cls(name, write(low), write(high) if high > low else "", place=lambda value: (value - low) / width)


def draw_parallel(axes: Sequence[KeyAxis], lines: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Draw lines over parallel axes.

    Args:
        axes: The axes from left to right, two or more.
        lines: The name of each line with its places on all axes, 0 to 1, the best first. Places that are not finite or
            beyond an end are drawn a little beyond it.
    """
    if not lines or len(axes) < 2:
        return draw_empty()
    step = (WIDTH - 2 * _SIDE) / (len(axes) - 1)
    room = _HEIGHT - _TOP - _BOTTOM

    def find_y(place: float) -> float:
        place = min(max(place if math.isfinite(place) else -1.0, -0.05), 1.05)
        return _HEIGHT - _BOTTOM - place * room

    parts = []
    for rank, (name, places) in reversed(list(enumerate(lines))):
        points = [(_SIDE + index * step, find_y(place)) for index, place in enumerate(places)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        strength = 1.0 if not rank else 0.15 + 0.5 * (1 - rank / len(lines))
        title = f"<title>{escape(name)}</title>"
        tone = 1 if not rank else 0
        parts.append(
            f'<polyline class="line tone-{tone}" stroke-opacity="{strength:.2f}" points="{path}">{title}</polyline>'
        )
    for index, axis in enumerate(axes):
        x, anchor = _SIDE + index * step, "start" if not index else "end" if index == len(axes) - 1 else "middle"
        edge = {"start": 2.0, "end": WIDTH - 2.0, "middle": x}[anchor]
        width = step if anchor == "middle" else step / 2 + _SIDE
        parts.append(f'<line class="border" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
        parts.append(draw_text(edge, 11, shorten_label(axis.name, width), anchor, axis.name))
        for text, y in ((axis.high, _TOP - 8), (axis.low, _HEIGHT - 6)):
            parts.append(draw_text(edge, y, shorten_label(text, width), anchor, text))
        for place, text in axis.marks:
            parts.append(draw_text(x + 5, find_y(place) + 4, shorten_label(text, step - 10), "start", text))
    return wrap_svg(parts, _HEIGHT, f"trials over {', '.join(axis.name for axis in axes)}")
