"""A line to type a search into, above the list that it filters."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from ftapp.tui.widgets.text_line import TextLine


class SearchLine(TextLine):
    """`Input.Changed` tells each change. Enter and the arrow down leave it for its list, Escape empties it first.

    Its screen binds KEY to `take`. Both act before the next key is read, so that what is typed at once is not taken for
    keys of the list.
    """

    KEY = Binding("slash", "search", "Search", priority=True)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,enter", "leave", "To the list"),
        Binding("escape", "clear", "Clear"),
    ]

    class Left(Message):
        """The line was left for the list that it filters."""

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
