"""Which panes of a screen are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, SelectionList, Static


class ChoosePanes(ModalScreen[list[str]]):
    """Its result is the names of those that are to be hidden."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,v,q", "close", "Close")]

    def __init__(self, panes: Mapping[str, str], hidden: Sequence[str]) -> None:
        """panes: titles by name."""
        super().__init__()
        self._panes, self._hidden = panes, hidden

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label("Panes", id="dialog-title")
            yield SelectionList[str](
                *((title, name, name not in self._hidden) for name, title in self._panes.items()), compact=True
            )
            yield Static("Space switches one on or off, Escape closes.", classes="hint")

    def action_close(self) -> None:
        shown = self.query_one(SelectionList).selected
        self.dismiss([name for name in self._panes if name not in shown])
