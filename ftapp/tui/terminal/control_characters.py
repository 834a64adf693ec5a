"""Control characters in text, which the terminal would carry out, are shown as signs."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from ftapp.common.formatting import make_printable


class ControlCharacterFilter(LineFilter):
    """Shows control characters of all widgets as signs. The width of a line stays the same."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        shown = [_show(segment) for segment in segments]
        excess = sum(cell_len(new.text) - cell_len(old.text) for new, old in zip(shown, segments, strict=True))
        return _narrow(shown, excess) if excess > 0 else shown


def _show(segment: Segment) -> Segment:
    if segment.control:  # written for the terminal, such as a picture
        return segment
    text = make_printable(segment.text)
    return segment if text == segment.text else segment._replace(text=text)


def _narrow(segments: list[Segment], excess: int) -> list[Segment]:
    """Shorten a line by some cells: by blanks at the ends of segments, from the right, else by text."""
    for blanks_only in (True, False):
        for index in reversed(range(len(segments))):
            segment = segments[index]
            if segment.control or not excess:
                continue
            width = cell_len(segment.text)
            spare = width - cell_len(segment.text.rstrip(" ")) if blanks_only else width - 1
            taken = min(excess, max(0, spare))
            if taken:
                segments[index] = segment._replace(text=set_cell_size(segment.text, width - taken))
                excess -= taken
    return segments
