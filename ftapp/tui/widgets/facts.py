"""A table of short labels with texts beside them, which wrap in columns of their own."""

from __future__ import annotations

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
        widths = [edge, *[max(_LEAST, (width - edge - columns * _GAP) // columns)] * columns]
        words = [word for _, *values in self.rows for value in values for word in value.plain.split()]
        longest = max(map(len, words), default=0)
        stacked = columns > 1 and widths[1] < min(longest, _NARROW)
        if stacked:
            widths = [0, *[max(_LEAST, (width - columns * _GAP) // columns)] * columns]
        lines: list[Content] = []
        for label, *values in self.rows:
            head = Content.styled(label, "$foreground-muted")
            if stacked and label:
                lines.append(head)
            cells = (Content() if stacked else head, *values)
            wrapped = [cell.wrap(size) for cell, size in zip(cells, widths, strict=False)]
            for parts in zip_longest(*wrapped, fillvalue=Content("")):
                padded = [
                    part.rstrip() + " " * max(0, size - part.rstrip().cell_length)
                    for part, size in zip(parts, widths, strict=False)
                ]
                lines.append(Content(" " * _GAP).join(padded))
        return lines
