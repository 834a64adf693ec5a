"""The interface without colours, for NO_COLOR."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter, Monochrome, monochrome_style


class GreyFilter(Monochrome):
    """Textual's filter, without its failure on text that has no style, such as the empty lines of a chart.

    The filter came with Textualize/textual#856. As of 8.2.8 it reads the colours of a style that may be None; no issue
    about this is known.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, style and monochrome_style(style), None) for text, style, _ in segments]


_GREY = GreyFilter()  # a single one, since Textual caches the results of each filter


def replace_monochrome(filters: Sequence[LineFilter]) -> list[LineFilter]:
    """Replace Textual's monochrome filter by `GreyFilter`."""
    return [_GREY if type(each) is Monochrome else each for each in filters]
