"""The choice of panes that a screen shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, SelectionList, Static


class ChoosePanes(ModalScreen[list[str]]):
    """A dialog with a list of panes. Its result is the names of the hidden ones."""

    DEFAULT_CSS = """
    ChoosePanes #keys { color: $text-muted; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,v,q", "close", "Close")]

    def __init__(self, panes: Mapping[str, str], hidden: Sequence[str]) -> None:
        """Make the dialog.

        Args:
            panes: The titles of the panes by name.
            hidden: The names of the panes that are hidden now.
        """
        super().__init__()
        self._panes, self._hidden = panes, hidden

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label("Panes", id="dialog-title")
            yield SelectionList[str](
                *((title, name, name not in self._hidden) for name, title in self._panes.items()), compact=True
            )
            yield Static("Space shows or hides a pane, Escape closes.", id="keys")

    def action_close(self) -> None:
        shown = self.query_one(SelectionList).selected
        self.dismiss([name for name in self._panes if name not in shown])
