"""The search above a list, which filters the list."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from ftapp.tui.widgets.text_line import TextLine


class SearchLine(TextLine):
    """A search. It posts `Input.Changed`. Enter and the arrow down go to the list, Escape clears the search first.

    The screen binds KEY to `take`. Both act before the next key is read, so that fast typing does not reach the list.
    """

    KEY = Binding("slash", "search", "Search", priority=True)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,enter", "leave", "Go to the list"),
        Binding("escape", "clear", "Clear"),
    ]

    class Left(Message):
        """The user left the search for the list."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, id="search")

    def take(self) -> None:
        """Take the focus."""
        self.screen.set_focus(self)

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_clear(self) -> None:
        self.value = ""
        self.post_message(self.Left())
