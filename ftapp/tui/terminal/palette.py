"""The interface on a terminal of 256 colours: each colour becomes the most similar one of these."""

from __future__ import annotations

import math
from bisect import bisect
from functools import lru_cache

from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as TextualColor
from textual.color import Lab, rgb_to_lab
from textual.filter import LineFilter

# As xterm has them. The 16 before them are the terminal's own, which its user may have changed.
_LEVELS = (0, 95, 135, 175, 215, 255)
_CUBE, _GREYS = 16, 232  # numbers of the first ones: a cube of 6 x 6 x 6 levels, then 24 greys


class PaletteFilter(LineFilter):
    """Maps colours to the palette. Rich's own mapping turns dark tinted greys into saturated blue and teal."""

    def apply(self, segments: list[Segment], background: TextualColor) -> list[Segment]:
        return [Segment(text, style and _map_style(style), control) for text, style, control in segments]


@lru_cache(4096)
def _map_style(style: Style) -> Style:
    return style + Style(color=_map_color(style.color), bgcolor=_map_color(style.bgcolor))


def _map_color(color: Color | None) -> Color | None:
    if color is None or color.type is not ColorType.TRUECOLOR or color.triplet is None:
        return color
    return Color.from_ansi(find_nearest(*color.triplet))


@lru_cache(4096)
def find_nearest(red: int, green: int, blue: int) -> int:
    """Find the most similar colour of the palette.

    The distance is that of CIELAB (CIE76). A difference in lightness counts double, since contrast keeps text readable.

    Args:
        red: 0 to 255, in sRGB.
        green: Likewise.
        blue: Likewise.

    Returns:
        The number of a grey, or of a corner of the cube's cell that contains the colour.
    """
    wanted, labs = rgb_to_lab(TextualColor(red, green, blue)), _labs()
    corners = [
        _CUBE + 36 * r + 6 * g + b for r in _neighbours(red) for g in _neighbours(green) for b in _neighbours(blue)
    ]

    def distance(number: int) -> float:
        found = labs[number]
        return math.hypot(2 * (found.L - wanted.L), found.a - wanted.a, found.b - wanted.b)

    return min(corners + list(range(_GREYS, 256)), key=distance)


def _neighbours(value: int) -> tuple[int, int]:
    """The levels next to a value, below and above."""
    above = min(bisect(_LEVELS, value), len(_LEVELS) - 1)
    return above - 1, above


@lru_cache(1)
def _labs() -> dict[int, Lab]:
    """The colours by their numbers."""
    cube = [TextualColor(red, green, blue) for red in _LEVELS for green in _LEVELS for blue in _LEVELS]
    greys = [TextualColor(grey, grey, grey) for grey in range(8, 248, 10)]
    return dict(enumerate(map(rgb_to_lab, [*cube, *greys]), _CUBE))
