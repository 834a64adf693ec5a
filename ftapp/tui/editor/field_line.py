"""A key of a recipe on one line of a form: its label, a control of its kind, and its error below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static, Switch

from ftapp.recipe import suits
from ftapp.tui.editor.fields import Field, find_field
from ftapp.tui.widgets.dropdown import Dropdown
from ftapp.tui.widgets.text_line import TextLine


class FieldLine(Widget):
    """Shows and changes one key. It posts Changed for changes of the user only."""

    DEFAULT_CSS = """
    FieldLine { height: auto; color: $text-muted; }
    FieldLine:focus-within { color: $foreground; }
    FieldLine.-wrong { color: $error; }
    FieldLine > * { margin-left: 17; width: 1fr; }
    FieldLine > Switch, FieldLine > Switch:focus {
        border: none; padding: 0 1; width: auto; height: 1; background: $surface;
    }
    FieldLine > Switch:focus { background: $panel; background-tint: $background 0%; }
    FieldLine .switch--slider { color: $foreground 40%; background: $border; }
    FieldLine .-on .switch--slider { color: $primary; }
    FieldLine > .wrong { height: auto; color: $error; }
    FieldLine > .browse {
        dock: right; width: 3; height: 1; margin: 0; padding: 0 1;
        background: $surface; color: $foreground 50%; pointer: pointer;
    }
    FieldLine > .browse:hover { color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "explain", "Meaning", tooltip="Explain this field"),
        Binding("f7", "search", "Search", tooltip="Search values of this field in a sweep"),
    ]

    class Changed(Message):
        """The user changed the value; None removes the key."""

        def __init__(self, line: FieldLine, value: Any) -> None:
            super().__init__()
            self.line, self.value = line, value

    class Explain(Message):
        """The user wants to know what the key means."""

        def __init__(self, line: FieldLine) -> None:
            super().__init__()
            self.line = line

    class SearchValues(Message):
        """The user wants to search values of the key in a sweep."""

        def __init__(self, line: FieldLine) -> None:
            super().__init__()
            self.line = line

    class Browse(Message):
        """The user wants to choose the value from a list."""

        def __init__(self, line: FieldLine) -> None:
            super().__init__()
            self.line = line

    def __init__(
        self, key: str, label: str | None = None, *, empty: str = "", chooses: bool = False, id: str | None = None
    ) -> None:
        """Make the line.

        Args:
            key: As `fields.find_field` takes it.
            label: The label; None for the last part of the key.
            empty: The text that is shown without a value and a default.
            chooses: Whether the user chooses one of the values that `offer` takes later.
            id: The widget's own.
        """
        super().__init__(id=id)
        self.field: Field = replace(find_field(key), kind="choice") if chooses else find_field(key)
        self.label = label or self.field.key.rpartition(".")[2].replace("_", " ")
        self.message: str | None = None
        self._shown: Any = None
        self._empty = empty or self.field.write(self.field.default)

    def compose(self) -> ComposeResult:
        match self.field.kind:
            case "choice":
                yield Dropdown(self.field.choices)
            case "switch":
                yield Switch(animate=False)
            case _:
                yield _Text(self.field, self._empty)
        if self.field.has_offers:
            yield Static("▾", classes="browse")

    def render(self) -> Content:
        """Draw the label, to the left of the control."""
        return Content(self.label)

    def show(self, value: Any, *, keep_typed: bool = True) -> None:
        """Show a value.

        Args:
            value: The value; None for the default.
            keep_typed: Whether the text that the user types stays.
        """
        shown = self.field.default if value is None else value
        self._shown = shown
        match self.field.kind:
            case "choice":
                self.query_one(Dropdown).value = str(shown)
            case "switch":
                with self.prevent(Switch.Changed):
                    self.query_one(Switch).value = bool(shown)
            case _:
                text = self.query_one(_Text)
                typing = keep_typed and text.has_focus
                if not typing and self.field.read(text.value) != value:
                    with self.prevent(Input.Changed):
                        text.value = self.field.write(value)

    def hide_if_foreign(self, task: str) -> None:
        """Hide the line if its key means nothing to a task."""
        # Not by a class, for which Textual would style all that the line holds anew.
        self.styles.display = None if suits(task, self.field.key) else "none"

    def offer(self, choices: Sequence[str]) -> None:
        """Offer some choices alone, of which the first is the default."""
        self.field = replace(self.field, choices=tuple(choices), default=choices[0])
        self.query_one(Dropdown).choices = self.field.choices

    def put(self, text: str) -> None:
        """Put a text into the field, as if the user typed it."""
        box = self.query_one(_Text)
        box.value = text
        box.cursor_position = len(text)

    def show_error(self, message: str | None) -> None:
        """Show what is wrong with the value; None for nothing."""
        if message == self.message:
            return
        self.message = message
        self.set_class(message is not None, "-wrong")
        for known in self.query(".wrong").results(Static):
            known.remove()
        if message is not None:
            self.mount(Static(message, classes="wrong", markup=False))

    @on(Input.Changed)
    def _post_text(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(self, self.field.read(event.value)))

    @on(Dropdown.Changed)
    def _post_choice(self, event: Dropdown.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(self, event.value))

    @on(Switch.Changed)
    def _post_switch(self, event: Switch.Changed) -> None:
        event.stop()
        if event.value != self._shown:
            self._shown = event.value
            self.post_message(self.Changed(self, event.value))

    @on(events.Click, ".browse")
    def browse(self) -> None:
        """Post that the user wants to choose from a list."""
        self.post_message(self.Browse(self))

    def action_explain(self) -> None:
        self.post_message(self.Explain(self))

    def action_search(self) -> None:
        self.post_message(self.SearchValues(self))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "search" or self.field.can_be_searched


class _Text(TextLine):
    """The text of a field. A question mark asks for help, unless values of the field may contain one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "browse", "Choose", tooltip="Choose from a list"),
    ]

    def __init__(self, field: Field, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, is_path=field.is_path)
        self._field, self._questions = field, field.kind in ("text", "texts")

    def action_browse(self) -> None:
        assert isinstance(self.parent, FieldLine)
        self.parent.browse()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "browse" or self._field.has_offers

    def on_key(self, event: events.Key) -> None:
        if event.character == "?" and not self._questions:
            event.prevent_default()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return (character != "?" or self._questions) and super().check_consume_key(key, character)
