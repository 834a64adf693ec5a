"""The interface without colours, as NO_COLOR asks for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter, Monochrome, monochrome_style


class Grey(Monochrome):
    """Textual's filter, which ends the app on text without a style, such as the empty lines of a chart."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, style and monochrome_style(style), None) for text, style, _ in segments]


_GREY = Grey()  # one for all, since Textual keeps what each has made


def tolerant(filters: Sequence[LineFilter]) -> list[LineFilter]:
    """The filters, with Grey in place of Textual's own."""
    return [_GREY if type(each) is Monochrome else each for each in filters]
