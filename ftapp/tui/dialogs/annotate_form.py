"""The tags and the note of a run, or the tags that several runs have in common."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static, TextArea

from ftapp.common.errors import RunError
from ftapp.runs.annotation import Annotations, make_annotations, split_tags
from ftapp.tui.widgets.text_line import TextLine


class AnnotateForm(ModalScreen[Annotations | None]):
    """A dialog with tags and a note. Its result is what they are to be, or None after Escape."""

    CSS = """
    AnnotateForm #dialog { width: 76; }
    AnnotateForm TextLine, AnnotateForm TextArea { background: $foreground 10%; border: none; }
    AnnotateForm TextLine:focus, AnnotateForm TextArea:focus { background: $foreground 18%; border: none; }
    """
    DEFAULT_CSS = """
    AnnotateForm Label.name { color: $text-muted; }
    AnnotateForm TextLine { margin-bottom: 1; }
    AnnotateForm TextArea { height: 6; padding: 0 1; }
    AnnotateForm #wrong { height: auto; color: $error; }
    AnnotateForm #keys { color: $text-muted; margin-top: 1; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", show=False),
        Binding("ctrl+s", "save", "Save", show=False),
    ]
    AUTO_FOCUS = "#tags"

    def __init__(self, title: str, now: Annotations, *, has_note: bool) -> None:
        """Make the dialog.

        Args:
            title: What the tags are of.
            now: The tags and the note to begin with.
            has_note: Whether there is a note to change.
        """
        super().__init__()
        self._title, self._now, self._has_note = title, now, has_note

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label(self._title, id="dialog-title", markup=False)
            yield Label("tags, with spaces between them" if self._has_note else "tags of all of them", classes="name")
            yield TextLine(" ".join(self._now.tags), id="tags")
            if self._has_note:
                yield Label("note", classes="name")
                yield TextArea(self._now.note, id="note", compact=True, tab_behavior="focus")
            yield Static(id="wrong", markup=False)
            keys = "Enter in the tags, or Ctrl-S, saves. Escape cancels."
            yield Static(keys, id="keys")
            with Horizontal(id="dialog-answers"):
                yield Button("Save", id="save", variant="primary", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    @on(Input.Submitted)
    @on(Button.Pressed, "#save")
    def action_save(self) -> None:
        """Return the tags and the note, if they are valid."""
        note = self.query_one(TextArea).text if self._has_note else ""
        try:
            self.dismiss(make_annotations(split_tags(self.query_one(TextLine).value), note))
        except RunError as error:
            self.query_one("#wrong", Static).update(str(error))

    @on(Button.Pressed, "#cancel")
    def _leave(self) -> None:
        self.dismiss(None)
