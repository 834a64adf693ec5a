"""A line of text, which shows the most important part while it has not the focus."""

from __future__ import annotations

import re
from typing import Any

from rich.cells import cell_len
from rich.text import Text
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widgets import Input

_SCHEME = re.compile(r"[a-z]+:(?://)?")
_SYMBOLS = {code: 0x2400 + code for code in range(32)} | {127: 0x2421}  # of control characters: one column each


class TextLine(Input):
    """An input of one row. Without the focus, a long value is shortened; with it, the row follows the cursor."""

    virtual_size = reactive(Size(0, 0))  # a text of another length changes no layout: the row has no scrollbar

    def __init__(self, value: str = "", *, is_path: bool = False, **options: Any) -> None:
        """Make the line.

        Args:
            value: The text to begin with.
            is_path: Whether the end of the value matters most, such as the name of a file.
            options: The options of `Input`.
        """
        super().__init__(value, select_on_focus=False, **options)
        # As `compact=True`, which would style the line before it has a place, and then again.
        self.set_reactive(Input.compact, True)
        self.set_class(True, "-textual-compact", update=False)
        self._is_path = is_path

    @property
    def _value(self) -> Text:
        """The text that the base class draws, with symbols in place of control characters."""
        text = super()._value
        text.plain = text.plain.translate(_SYMBOLS)
        return text

    def on_resize(self) -> None:
        """Scroll to the cursor, which was set before the row had a width."""
        self.scroll_to_region(Region(self._cursor_offset, 0, 1, 1), force=True, animate=False)

    def render_line(self, y: int) -> Strip:
        width, value = self.scrollable_content_region.width, self._value.plain
        if y != 0 or self.has_focus or cell_len(value) <= width:
            return super().render_line(y)
        text = shorten(value, width, is_path=self._is_path)
        segments = self.app.console.render(text, self.app.console_options.update_width(width))
        return Strip(segments).adjust_cell_length(width + 1).apply_style(self.rich_style)


def shorten(text: str, width: int, *, is_path: bool) -> str:
    """Shorten a text with an ellipsis.

    Args:
        text: The text.
        width: The width in columns.
        is_path: Whether to drop the middle instead of the end. A hash at the end is dropped first, so that there is one
            ellipsis. The scheme, as in folder:/home/me/photos, stays where there is space.
    """
    if cell_len(text) <= width:
        return text
    if not is_path:
        return f"{_cut_text(text, width - 1)}…"
    path, mark, _ = text.partition("#sha256=")
    if mark and cell_len(path) < width:
        return f"{path}…"
    found = _SCHEME.match(path)
    scheme = found[0] if found and 2 * cell_len(found[0]) < width else ""
    return f"{scheme}…{_cut_text(path[::-1], width - 1 - cell_len(scheme))[::-1]}"


def _cut_text(text: str, width: int) -> str:
    """Cut a text to a width in columns."""
    end = 0
    for character in text:
        width -= cell_len(character)
        if width < 0:
            break
        end += 1
    return text[:end]
