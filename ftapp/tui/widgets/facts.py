"""A table of short labels with texts beside them, which wrap in columns of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

Fact = tuple[str, *tuple[Content, ...]]
_GAP = 2
_LEAST = 6  # cells of a column
_NARROW = 18  # cells of a column in which words that are longer are broken
_PIECE = re.compile(r"[^/_.=#:-]*[/_.=#:-]+|[^/_.=#:-]+")  # of a path or a name, with the marks that end it


class Facts(Widget):
    """Shows labels with one or more values each.

    Where columns would be too narrow for words, a label has a line of its own above its values.

    Attributes:
        rows: A label and its values. The values of an empty label stand below those of the row before.
    """

    DEFAULT_CSS = """
    Facts { height: auto; }
    """

    rows: reactive[Sequence[Fact]] = reactive(tuple, layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        columns = max((len(row) - 1 for row in self.rows), default=0)
        if not columns:
            return []
        edge = max(len(row[0]) for row in self.rows)
        if columns > 1:
            edge = min(edge, max(_LEAST, width // 2))
        values_of_columns = list(zip_longest(*(row[1:] for row in self.rows), fillvalue=Content()))
        needs = [max(map(_measure_line, values)) for values in values_of_columns]
        words = [max(map(_measure_word, values)) for values in values_of_columns]
        free = width - edge - sum(needs)
        gap = 1 if columns <= free < columns * _GAP else _GAP  # a smaller gap, where it keeps all values on one line
        widths = [edge, *_share(width - edge - columns * gap, needs)]
        stacked = columns > 1 and any(size < min(word, _NARROW) for size, word in zip(widths[1:], words, strict=True))
        if stacked:
            widths = [0, *_share(width - columns * gap, needs)]
        lines: list[Content] = []
        for label, *values in self.rows:
            head = Content.styled(label, "$foreground-muted")
            if stacked and label:
                lines.append(head)
            cells = (Content() if stacked else head, *values)
            wrapped = [_wrap(cell, size) for cell, size in zip(cells, widths, strict=False)]
            for parts in zip_longest(*wrapped, fillvalue=Content("")):
                padded = [
                    part.rstrip() + " " * max(0, size - part.rstrip().cell_length)
                    for part, size in zip(parts, widths, strict=False)
                ]
                lines.append(Content(" " * gap).join(padded))
        return lines


def _measure_line(value: Content) -> int:
    return max(map(len, value.plain.splitlines()), default=0)


def _measure_word(value: Content) -> int:
    return max(map(len, value.plain.split()), default=0)


def _share(width: int, needs: Sequence[int]) -> list[int]:
    """Share a width among columns: alike, but a column that needs less leaves the rest to those that need more."""
    fair = max(_LEAST, width // len(needs))
    if max(needs) <= fair:
        return [fair] * len(needs)
    shares, left = [0] * len(needs), width
    for done, column in enumerate(sorted(range(len(needs)), key=needs.__getitem__)):
        shares[column] = max(_LEAST, min(needs[column], left // (len(needs) - done)))
        left -= shares[column]
    return shares


def _wrap(text: Content, width: int) -> list[Content]:
    """Wrap a text at its spaces, and a word longer than a line after the marks in it, as those of a path."""
    breaks = []
    for word in re.finditer(r"\S+", text.plain):
        if len(word[0]) <= width:
            continue
        start = end = word.start()
        for piece in _PIECE.finditer(word[0]):
            if word.start() + piece.end() - start > width and end > start:
                breaks.append(end)
                start = end
            end = word.start() + piece.end()
    return [line for part in text.divide(breaks) for line in part.wrap(width)]
