"""The menu of actions on a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from ftapp.tui.actions.run_actions import RunAction

_TITLE_WIDTH = 10


class ChooseAction(ModalScreen[str | None]):
    """A dialog with a line for each action. Its result is the name of an action, or None after Escape.

    The key of an action chooses it, as Enter on its line does.
    """

    CSS = "ChooseAction #dialog { width: 84; }"
    DEFAULT_CSS = """
    ChooseAction OptionList, ChooseAction OptionList:focus {
        background: $surface; height: auto; max-height: 16; text-wrap: nowrap; text-overflow: ellipsis;
    }
    ChooseAction #keys { color: $text-muted; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close", show=False)]

    def __init__(self, title: str, entries: Sequence[tuple[RunAction, str | None]]) -> None:
        """Make the dialog.

        Args:
            title: The run.
            entries: The actions, each with the reason why it is not possible now, or None.
        """
        super().__init__()
        self._title, self._entries = title, entries

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label(self._title, id="dialog-title", markup=False)
            yield OptionList(*(self._make_option(*entry) for entry in self._entries))
            yield Static("Enter or its key chooses an action, Escape closes", id="keys")

    def _make_option(self, action: RunAction, obstacle: str | None) -> Option:
        key = "⏎" if action.key == "enter" else action.key
        line = Content.assemble(
            (key, "" if obstacle else "$accent"),
            f" {action.title.ljust(_TITLE_WIDTH)} ",
            (obstacle or action.help, "$foreground-muted"),
        )
        return Option(line, id=action.name, disabled=obstacle is not None)

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    def on_key(self, event: events.Key) -> None:
        for action, obstacle in self._entries:
            if event.key != "enter" and event.key == action.key:
                event.stop()
                if obstacle:
                    self.notify(obstacle, severity="warning")
                else:
                    self.dismiss(action.name)
