"""The input of a model that is tried, with the history of former inputs."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from ftapp.tui.widgets.text_line import TextLine


class Tried(Message):
    """The user pressed Enter to try the text of the prompt."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self.value = value


class InputHistory:
    """The former inputs, the oldest first, to go back and forth in."""

    def __init__(self) -> None:
        self._values: list[str] = []
        self._place = 0
        self._draft = ""

    def add(self, value: str) -> None:
        """Add a value at the end. A value is kept once."""
        self._values = [*(other for other in self._values if other != value), value]
        self._place = len(self._values)

    def step(self, by: int, current: str) -> str | None:
        """Go to another value.

        Args:
            by: -1 for the value before, 1 for the value after.
            current: The text of the prompt, which comes after the last value.

        Returns:
            The value; None at either end.
        """
        if self._place == len(self._values):
            self._draft = current
        place = self._place + by
        if not 0 <= place <= len(self._values):
            return None
        self._place = place
        return [*self._values, self._draft][place]


class Prompt(TextArea):
    """A text of any length. Enter submits it; up and down, beyond its lines, bring back former texts."""

    DEFAULT_CSS = """
    Prompt, Prompt:focus { border: none; padding: 0; background: $background; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Try", priority=True),
        Binding("ctrl+j", "insert_line", "New line", show=False),
    ]

    def __init__(self, placeholder: str) -> None:
        super().__init__(compact=True, placeholder=placeholder, highlight_cursor_line=False)
        self._former = InputHistory()

    def action_submit(self) -> None:
        self._former.add(self.text)
        self.post_message(Tried(self.text))

    def action_insert_line(self) -> None:
        self.insert("\n")

    def action_cursor_up(self, select: bool = False) -> None:
        if select or not self.navigator.is_first_wrapped_line(self.cursor_location) or not self._walk(-1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        if select or not self.navigator.is_last_wrapped_line(self.cursor_location) or not self._walk(1):
            super().action_cursor_down(select)

    def show(self, text: str) -> None:
        """Put a text into the prompt, with the cursor at the end."""
        self.text = text
        self.move_cursor(self.document.end)

    def _walk(self, by: int) -> bool:
        value = self._former.step(by, self.text)
        if value is not None:
            self.show(value)
        return value is not None


class PathLine(TextLine):
    """The path of a file. Enter submits it; up and down bring back former paths."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Try"),
        Binding("up", "walk(-1)", show=False),
        Binding("down", "walk(1)", show=False),
    ]

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, is_path=True)
        self._former = InputHistory()

    async def action_submit(self) -> None:
        self._former.add(self.value)
        self.post_message(Tried(self.value))

    def action_walk(self, by: int) -> None:
        if (value := self._former.step(by, self.value)) is not None:
            self.show(value)

    def show(self, text: str) -> None:
        """Put a path into the line, with the cursor at the end."""
        self.value = text
        self.cursor_position = len(text)


class Number(TextLine):
    """A number in a few columns, which up and down change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(1)", "More", show=False),
        Binding("down", "step(-1)", "Less", show=False),
    ]

    def __init__(self, value: float, *, least: float, step: float, id: str) -> None:
        """Make the line.

        Args:
            value: The value to begin with.
            least: The smallest value.
            step: What up and down add or subtract. Values are whole numbers where it is one.
            id: The id of the widget.
        """
        self._whole = isinstance(step, int)
        super().__init__(f"{value:g}", type="integer" if self._whole else "number", id=id)
        self._least, self._step = least, step

    @property
    def number(self) -> float | None:
        """The number; None where the text is no number, or too small a number."""
        try:
            number = int(self.value) if self._whole else float(self.value)
        except ValueError:
            return None
        return number if self._least <= number < float("inf") else None

    @property
    def rule(self) -> str:
        """The rule for values, in words."""
        return f"{'a whole number' if self._whole else 'a number'} of at least {self._least:g}"

    def action_step(self, by: int) -> None:
        number = self._least if self.number is None else self.number
        self.value = f"{max(self._least, round(number + by * self._step, 6)):.10g}"
        self.cursor_position = len(self.value)
