"""A line of text to edit, which shows the part that matters while it is not edited."""

from __future__ import annotations

import re
from typing import Any

from rich.cells import cell_len
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Input

_SCHEME = re.compile(r"[a-z]+:(?://)?")
_SYMBOLS = {code: 0x2400 + code for code in range(32)} | {127: 0x2421}  # of control characters: one column each


class TextLine(Input):
    """An input of one row. Without the focus, a value wider than the row is shortened (`shorten`); with it, the row
    follows the cursor.
    """

    def __init__(self, value: str = "", *, is_path: bool = False, **options: Any) -> None:
        """is_path: whether the end of the value, such as a file's name, matters most; options: of Input."""
        super().__init__(value, compact=True, select_on_focus=False, **options)
        self._is_path = is_path

    @property
    def _value(self) -> Text:
        """What the base class draws: a line break or an escape character as its symbol, never as itself."""
        text = super()._value
        text.plain = text.plain.translate(_SYMBOLS)
        return text

    def on_resize(self) -> None:
        """Bring the cursor into sight, which was set before the row had a width."""
        self.scroll_to_region(Region(self._cursor_offset, 0, 1, 1), force=True, animate=False)

    def render_line(self, y: int) -> Strip:
        width, value = self.scrollable_content_region.width, self._value.plain
        if y != 0 or self.has_focus or cell_len(value) <= width:
            return super().render_line(y)
        text = shorten(value, width, is_path=self._is_path)
        segments = self.app.console.render(text, self.app.console_options.update_width(width))
        return Strip(segments).adjust_cell_length(width + 1).apply_style(self.rich_style)


def shorten(text: str, width: int, *, is_path: bool) -> str:
    """A text in at most `width` columns, with an ellipsis for what is left out: the end, or of a path the middle.

    The scheme of a path, as in folder:/home/me/photos, stays where there is room for it; a hash after it goes first.
    """
    if cell_len(text) <= width:
        return text
    if not is_path:
        return f"{_fitting(text, width - 1)}…"
    path, mark, _ = text.partition("#sha256=")
    if mark:
        return shorten(f"{path}#…", width, is_path=True)
    found = _SCHEME.match(text)
    scheme = found[0] if found and 2 * cell_len(found[0]) < width else ""
    return f"{scheme}…{_fitting(text[::-1], width - 1 - cell_len(scheme))[::-1]}"


def _fitting(text: str, width: int) -> str:
    """The beginning of a text that fits into so many columns."""
    end = 0
    for character in text:
        width -= cell_len(character)
        if width < 0:
            break
        end += 1
    return text[:end]
