"""The line that chooses the arm that Configure shows and changes."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Label, Static

from ftapp.common.formatting import format_quantity
from ftapp.tui import recipe_words
from ftapp.tui.editor.edits import Form
from ftapp.tui.widgets.dropdown import Dropdown
from ftapp.tui.widgets.texts import set_text

_ALL_ARMS = "all arms"


class ArmLine(Horizontal):
    """Names the arm that is shown, with what the arm overrides. A recipe without arms has no such line."""

    class Chosen(Message):
        """The user chose an arm; None stands for the recipe, whose changes go to every arm."""

        def __init__(self, arm: str | None) -> None:
            super().__init__()
            self.arm = arm

    def __init__(self) -> None:
        super().__init__(id="arm-line")

    def compose(self) -> ComposeResult:
        yield Label("Arm")
        yield Dropdown([_ALL_ARMS], id="arm")
        yield Static(id="overrides", markup=False)

    def show(self, form: Form) -> None:
        """Show the arm of a form."""
        self.set_class(bool(form.arms), "-any")
        choice = self.query_one("#arm", Dropdown)
        choice.choices = (_ALL_ARMS, *form.arms)
        choice.value = form.arm or _ALL_ARMS
        if form.arm is None:
            words = Content(f"{format_quantity(len(form.arms), 'arm')}; a change here applies to all of them")
        elif form.recipe:
            words = recipe_words.describe_arms(form.arms, form.recipe)[form.arm]
        else:
            words = Content()
        set_text(self.query_one("#overrides", Static), words)

    @on(Dropdown.Changed)
    def _choose(self, event: Dropdown.Changed) -> None:
        event.stop()
        self.post_message(self.Chosen(None if event.value == _ALL_ARMS else event.value))
