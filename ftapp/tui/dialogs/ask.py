"""A question whose answer is a line of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from ftapp.tui.widgets.text_line import TextLine


class Ask(ModalScreen[str | None]):
    """A dialog with a line to type. Its result is the text, or None after Escape."""

    DEFAULT_CSS = """
    Ask #answer { background: $panel; }
    Ask #wrong { color: $error; height: auto; margin-top: 1; }
    Ask #keys { color: $text-muted; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, title: str, value: str, wrong: Callable[[str], str | None]) -> None:
        """Make the dialog.

        Args:
            title: The question.
            value: The text to begin with.
            wrong: Returns what is wrong with an answer, or None.
        """
        super().__init__()
        self._title, self._value, self._wrong = title, value, wrong

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label(self._title, id="dialog-title", markup=False)
            yield TextLine(self._value, id="answer", is_path=True)
            yield Static(id="wrong", markup=False)
            yield Static("Enter confirms, Escape cancels", id="keys")

    @on(Input.Changed)
    def _check(self) -> None:
        self.query_one("#wrong", Static).update(self._wrong(self.query_one(Input).value) or "")

    @on(Input.Submitted)
    def _confirm(self, event: Input.Submitted) -> None:
        wrong = self._wrong(event.value)
        if wrong is None:
            self.dismiss(event.value)
        else:
            self.query_one("#wrong", Static).update(wrong)
