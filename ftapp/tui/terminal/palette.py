"""The interface on a terminal of 256 colours: each colour becomes the one of these that looks most like it."""

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


class Palette(LineFilter):
    """Rich's own choice takes dark greys with a tint, such as those of most themes, for saturated blue and teal."""

    def apply(self, segments: list[Segment], background: TextualColor) -> list[Segment]:
        return [Segment(text, style and _styled(style), control) for text, style, control in segments]


@lru_cache(4096)
def _styled(style: Style) -> Style:
    return style + Style(color=_of_palette(style.color), bgcolor=_of_palette(style.bgcolor))


def _of_palette(color: Color | None) -> Color | None:
    if color is None or color.type is not ColorType.TRUECOLOR or color.triplet is None:
        return color
    return Color.from_ansi(nearest(*color.triplet))


@lru_cache(4096)
def nearest(red: int, green: int, blue: int) -> int:
    """The number of the grey, or of the corner of the cube's cell that holds it, which looks most like a colour of
    sRGB, 0 to 255 each.

    By distance in CIELAB (CIE76), a difference in lightness counting double: contrast is what keeps text readable.
    """
    wanted, labs = rgb_to_lab(TextualColor(red, green, blue)), _labs()
    corners = [_CUBE + 36 * r + 6 * g + b for r in _around(red) for g in _around(green) for b in _around(blue)]

    def distance(number: int) -> float:
        found = labs[number]
        return math.hypot(2 * (found.L - wanted.L), found.a - wanted.a, found.b - wanted.b)

    return min(corners + list(range(_GREYS, 256)), key=distance)


def _around(value: int) -> tuple[int, int]:
    """The levels next to a value, below and above."""
    above = min(bisect(_LEVELS, value), len(_LEVELS) - 1)
    return above - 1, above


@lru_cache(1)
def _labs() -> dict[int, Lab]:
    """The colours by their numbers."""
    cube = [TextualColor(red, green, blue) for red in _LEVELS for green in _LEVELS for blue in _LEVELS]
    greys = [TextualColor(grey, grey, grey) for grey in range(8, 248, 10)]
    return dict(enumerate(map(rgb_to_lab, [*cube, *greys]), _CUBE))
