"""A table of facts: short labels, and beside them text that wraps in a column of its own."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

Fact = tuple[str, Content]


class Facts(Widget):
    """rows: labels and values; a label may be empty, and its value then stands below the one before."""

    DEFAULT_CSS = """
    Facts { height: auto; }
    """

    rows: reactive[Sequence[Fact]] = reactive(tuple, layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        edge = max((len(label) for label, _ in self.rows), default=0) + 2
        lines: list[Content] = []
        for label, value in self.rows:
            for index, line in enumerate(value.wrap(max(8, width - edge))):
                head = (label if index == 0 else "").ljust(edge)
                lines.append(Content.assemble((head, "$foreground-muted"), line))
        return lines
