"""A choice to make or to leave, whose mark is there only when it is made."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Checkbox


class Tick(Checkbox):
    """A box with a label. Textual's own checkbox shows its mark in either state, in two shades."""

    DEFAULT_CSS = """
    Tick { width: auto; margin-right: 2; }
    """

    def __init__(self, label: str, *, id: str) -> None:
        super().__init__(label, id=id, compact=True)

    @property
    def _button(self) -> Content:
        return Content("[x] " if self.value else "[ ] ")
