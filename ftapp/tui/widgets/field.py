"""A key of a recipe on one line of a form: its label, a control of its kind, and below it what is wrong with it."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, Select, Static, Switch

from ftapp.tui.fields import Field, field


class FieldLine(Vertical):
    """Shows and changes one key; it posts Changed for what the user does, never for what it is told to show."""

    DEFAULT_CSS = """
    FieldLine { height: auto; }
    FieldLine > Horizontal { height: 1; }
    FieldLine Label { width: 15; color: $text-muted; }
    FieldLine:focus-within Label { color: $foreground; }
    FieldLine Input, FieldLine Select { width: 1fr; }
    FieldLine Switch, FieldLine Switch:focus { border: none; padding: 0 1; height: 1; background: $surface; }
    FieldLine Switch:focus { background: $panel; background-tint: $background 0%; }
    FieldLine Switch .switch--slider { color: $foreground 40%; background: $border; }
    FieldLine Switch.-on .switch--slider { color: $primary; }
    FieldLine Select.-textual-compact > SelectCurrent { padding: 0 1; background: $surface; }
    FieldLine Select.-textual-compact:focus > SelectCurrent { background: $panel; background-tint: $background 0%; }
    FieldLine SelectOverlay, FieldLine SelectOverlay:focus { border: none; background: $panel; padding: 0; }
    FieldLine > .wrong { display: none; height: auto; padding-left: 15; color: $error; }
    FieldLine.-wrong > .wrong { display: block; }
    FieldLine.-wrong Label { color: $error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "explain", "Meaning", tooltip="What this field means"),
    ]

    class Changed(Message):
        """The user gave the key another value; None takes it away."""

        def __init__(self, line: FieldLine, value: Any) -> None:
            super().__init__()
            self.line, self.value = line, value

    class Explain(Message):
        """The user asks what the key means."""

        def __init__(self, line: FieldLine) -> None:
            super().__init__()
            self.line = line

    def __init__(self, key: str, label: str | None = None, *, empty: str = "", classes: str | None = None) -> None:
        """key: as `fields.field` takes it; empty: what to show where there is no value and no default."""
        super().__init__(classes=classes)
        self.field: Field = field(key)
        self.label = label or self.field.key.rpartition(".")[2].replace("_", " ")
        self._shown: Any = None
        self._empty = empty or self.field.write(self.field.default)

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(self.label)
            match self.field.kind:
                case "choice":
                    yield _Choice([(choice, choice) for choice in self.field.choices], allow_blank=False, compact=True)
                case "switch":
                    yield Switch(animate=False)
                case _:
                    yield _Text(placeholder=self._empty, questions=self.field.kind in ("text", "list"))
        yield Static(classes="wrong", markup=False)

    def show(self, value: Any) -> None:
        """Show a value, the default where it is None. What is being typed stays if it means the same."""
        shown = self._shown = self.field.default if value is None else value
        with self.prevent(Input.Changed, Select.Changed, Switch.Changed):
            match self.field.kind:
                case "choice":
                    choice = self.query_one(_Choice)
                    unknown = shown not in self.field.choices
                    choice.set_options([(each, each) for each in (*self.field.choices, *[str(shown)] * unknown)])
                    choice.value = str(shown)
                case "switch":
                    self.query_one(Switch).value = bool(shown)
                case _:
                    text = self.query_one(_Text)
                    if not text.has_focus and self.field.read(text.value) != value:
                        text.value = self.field.write(value)
                        text.cursor_position = len(text.value)

    def complain(self, message: str | None) -> None:
        """Show what is wrong with the value, or None for nothing."""
        self.set_class(message is not None, "-wrong")
        self.query_one(".wrong", Static).update(message or "")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(self, self.field.read(event.value)))

    @on(Select.Changed)
    def _chosen(self, event: Select.Changed) -> None:
        event.stop()
        # A menu that has just been made tells of its first choice before it is told what to show.
        if event.value == event.select.value != self._shown:
            self._shown = event.value
            self.post_message(self.Changed(self, event.value))

    @on(Switch.Changed)
    def _switched(self, event: Switch.Changed) -> None:
        event.stop()
        if event.value != self._shown:
            self._shown = event.value
            self.post_message(self.Changed(self, event.value))

    def action_explain(self) -> None:
        self.post_message(self.Explain(self))


class _Choice(Select[str]):
    """A choice that left and right change without opening the menu."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Former choice", show=False),
        Binding("right", "step(1)", "Next choice", show=False),
    ]

    def action_step(self, by: int) -> None:
        choices = [value for _, value in self._options]
        self.value = choices[(choices.index(self.value) + by) % len(choices)]


class _Text(Input):
    """A line of text, in which a question mark asks for help where no value has one."""

    def __init__(self, *, placeholder: str, questions: bool) -> None:
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=False)
        self._questions = questions

    def on_key(self, event: events.Key) -> None:
        if event.character == "?" and not self._questions:
            event.prevent_default()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return (character != "?" or self._questions) and super().check_consume_key(key, character)
