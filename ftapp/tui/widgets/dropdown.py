"""The choice of one of a few values on one line: by arrows, by a digit, or from a list that Enter opens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option


class Dropdown(Widget, can_focus=True):
    """Shows one value, and lets the user choose another.

    Attributes:
        value: The value, which may be none of the choices.
        choices: The values to choose from.
    """

    DEFAULT_CSS = """
    Dropdown { height: 1; padding: 0 1; background: $surface; color: $foreground; pointer: pointer; }
    Dropdown:focus { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Previous choice", show=False),
        Binding("right", "step(1)", "Next choice", show=False),
        Binding("enter,space", "open", "All choices", show=False),
    ]

    value: reactive[str] = reactive("")

    class Changed(Message):
        """The user chose another value."""

        def __init__(self, choice: Dropdown, value: str) -> None:
            super().__init__()
            self.choice, self.value = choice, value

        @property
        def control(self) -> Dropdown:
            return self.choice

    def __init__(self, choices: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.choices = tuple(choices)

    def render(self) -> Content:
        room = self.content_size.width - 2
        return Content.assemble(self.value[:room].ljust(room), (" ▾", "$foreground 50%"))

    def on_click(self) -> None:
        self.action_open()

    def on_key(self, event: events.Key) -> None:
        """Choose a value by its digit, before the screen takes the key for a command."""
        if self.check_consume_key(event.key, event.character):
            event.stop()
            event.prevent_default()
            self._choose(event.character)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character is not None and character.isdigit() and character in self.choices

    def action_step(self, by: int) -> None:
        at = self.choices.index(self.value) if self.value in self.choices else -1
        self._choose(self.choices[(at + by) % len(self.choices)])

    def action_open(self) -> None:
        self.app.push_screen(_List(self), self._choose)

    def _choose(self, value: str | None) -> None:
        if value is not None and value != self.value:
            self.value = value
            self.post_message(self.Changed(self, value))


class _List(ModalScreen[str | None]):
    """A list of all choices below the line, or above it where there is no space below."""

    DEFAULT_CSS = """
    _List { align: left top; background: $background 30%; }
    _List > OptionList, _List > OptionList:focus { background: $panel; padding: 0; height: auto; max-height: 12; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel", show=False)]

    def __init__(self, choice: Dropdown) -> None:
        super().__init__()
        self._choice = choice

    def compose(self) -> ComposeResult:
        choice = self._choice
        found = OptionList(*(Option(each, id=str(index)) for index, each in enumerate(choice.choices)), markup=False)
        height, region = min(12, len(choice.choices)), choice.region
        below = region.bottom + height <= self.app.size.height
        found.styles.offset = (region.x, region.bottom if below else max(0, region.y - height))
        found.styles.width = max(region.width, 8)
        if choice.value in choice.choices:
            found.highlighted = choice.choices.index(choice.value)
        yield found

    @on(OptionList.OptionSelected)
    def _return_choice(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choice.choices[event.option_index])

    def on_click(self) -> None:
        self.dismiss(None)
