"""A question with a few answers, for actions that lose something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label, Static


class Dialog(ModalScreen[str]):
    """A dialog with a button for each answer. Its result is the text of the chosen answer.

    The last answer loses nothing: it has the focus, and Escape chooses it.
    """

    AUTO_FOCUS = "#safe"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "last", "Cancel", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, text: str, answers: Sequence[str]) -> None:
        super().__init__()
        self._title, self._text, self._answers = title, text, list(answers)

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label(self._title, id="dialog-title", markup=False)
            yield Static(self._text, id="dialog-text", markup=False)
            with Horizontal(id="dialog-answers"):
                *others, safe = self._answers
                for answer in others:
                    yield Button(answer, compact=True)
                yield Button(safe, variant="primary", compact=True, id="safe")

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        self.dismiss(str(event.button.label))

    def action_last(self) -> None:
        self.dismiss(self._answers[-1])
