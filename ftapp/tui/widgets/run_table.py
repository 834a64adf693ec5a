"""A list of runs that draws only visible rows, so that thousands of runs scroll as fast as ten."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from ftapp.experiments.listing import Summary
from ftapp.tui.run_columns import COLUMNS, GAP, RunColumn, join_cells, list_columns, select_columns

_HEADER = 1  # lines
_MARK = "■"


class RunTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows runs, with a cursor and with marks.

    Attributes:
        rows: The runs in their order.
        cursor: The index of the run under the cursor.
        marked: The names of the folders of marked runs.
        sorted_by: The name of the sorted column, and whether it descends.
        none: The message for an empty list.
    """

    DEFAULT_CSS = """
    RunTable {
        height: 1fr;
        background: $background;
        & > .run-table--header { color: $foreground-muted; background: $background; }
        & > .run-table--row { background: $background; }
        & > .run-table--cursor { background: $block-cursor-blurred-background; }
        &:focus > .run-table--cursor { background: $block-cursor-background; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"run-table--header", "run-table--row", "run-table--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open"),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "to(0)", "First", show=False),
        Binding("end", "to(-1)", "Last", show=False),
    ]

    cursor = reactive(0)
    marked: reactive[frozenset[str]] = reactive(frozenset())
    sorted_by: reactive[tuple[str, bool]] = reactive(("started", True))

    class Highlighted(Message):
        """Another run is under the cursor, or the run has other values."""

    class Opened(Message):
        """The user opened the run under the cursor."""

    class HeaderClicked(Message):
        """The user clicked the head of a column."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    none = reactive("")

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Summary] = ()
        self._all_columns = COLUMNS

    @property
    def current(self) -> Summary | None:
        """The run under the cursor."""
        return self.rows[self.cursor] if self.rows else None

    def show(self, rows: Sequence[Summary]) -> None:
        """Show runs. The cursor stays on its run if that is listed, else on its line."""
        current = self.current
        self.rows, self._all_columns = rows, list_columns(rows)
        self.virtual_size = Size(0, len(rows) + _HEADER)
        if current is not None:
            name = current.run.folder.name
            places = (index for index, row in enumerate(rows) if row.run.folder.name == name)
            self.cursor = next(places, self.cursor)
        self.cursor = self.validate_cursor(self.cursor)
        self.refresh()
        self.post_message(self.Highlighted())

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self.rows) - 1))

    def watch_cursor(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1 + _HEADER), animate=False, force=True)
        self.post_message(self.Highlighted())

    def action_open(self) -> None:
        if self.current:
            self.post_message(self.Opened())

    def action_move(self, lines: int) -> None:
        self.cursor += lines

    def action_page(self, direction: int) -> None:
        self.cursor += direction * max(1, self.scrollable_content_region.height - _HEADER)

    def action_to(self, index: int) -> None:
        self.cursor = index if index >= 0 else len(self.rows) + index

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        if place is None:
            return
        if place.y < _HEADER:
            if column := self._column_at(place.x):
                self.post_message(self.HeaderClicked(column))
            return
        index = self.scroll_offset.y + place.y - _HEADER
        if index < len(self.rows):
            self.cursor = index
            if event.chain == 2:
                self.action_open()

    def _column_at(self, x: int) -> str | None:
        edge = len(_MARK) + 1
        for name, column in self.columns.items():
            edge += column.width + GAP
            if x < edge:
                return name
        return None

    @property
    def columns(self) -> dict[str, RunColumn]:
        """The columns that are shown."""
        return select_columns(self.scrollable_content_region.width - len(_MARK) - 1, self._all_columns)

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if y < _HEADER:
            return self._strip(self._head(), width, "run-table--header")
        index = self.scroll_offset.y + y - _HEADER
        if index == 1 and not self.rows:
            return self._strip(Content(f"  {self.none}"), width, "run-table--header")
        if index >= len(self.rows):
            return Strip.blank(width, self.get_visual_style("run-table--row").rich_style)
        style = "run-table--cursor" if index == self.cursor else "run-table--row"
        return self._strip(self._row(self.rows[index]), width, style)

    def _strip(self, content: Content, width: int, style: str) -> Strip:
        visual_style = self.get_visual_style(style)
        strip = Visual.to_strips(self, content, width, 1, visual_style, apply_selection=False)[0]
        return strip.extend_cell_length(width, visual_style.rich_style)

    def _head(self) -> Content:
        sorted_by, descending = self.sorted_by
        arrow = "▼" if descending else "▲"
        cells = [
            (Content(column.name + (arrow if name == sorted_by else "")), column.width, column.right)
            for name, column in self.columns.items()
        ]
        return Content(" " * (len(_MARK) + 1)) + join_cells(cells)

    def _row(self, summary: Summary) -> Content:
        now = time.time()
        mark = Content.styled(_MARK, "$accent") if summary.run.folder.name in self.marked else Content(" ")
        cells = [(column.cell(summary, now), column.width, column.right) for column in self.columns.values()]
        return mark + " " + join_cells(cells)
