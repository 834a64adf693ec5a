"""The meaning of a field: its key, its description, its default and its choices."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Markdown

from ftapp.tui.editor.fields import Field


class MeaningScreen(ModalScreen[None]):
    """Shows the meaning of one key of a recipe."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,f1,q,enter", "dismiss", "Close")]

    def __init__(self, field: Field) -> None:
        super().__init__()
        lines = [f"#### {field.key}", field.description]
        if field.choices:
            lines.append(f"One of {', '.join(f'`{choice}`' for choice in field.choices)}.")
        if field.required:
            lines.append("Every recipe needs this key.")
        elif field.default is not None:
            lines.append(f"Default: `{field.write(field.default) or 'none'}`.")
        self._text = "\n\n".join(lines)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Markdown(self._text)
