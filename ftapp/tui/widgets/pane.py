"""A titled box of text, which the panes of runs derive from."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static


class Pane(VerticalScroll, can_focus=True):
    """A titled box with text in it, which scrolls."""

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = title
        self._text = Static(markup=False)
        self._again: Callable[[], None] | None = None  # shows once more what it shows

    def on_resize(self) -> None:
        if self._again:  # what is shown depends on the width
            self._again()

    def compose(self) -> ComposeResult:
        yield self._text

    def put(self, content: RenderableType, *, layout: bool = True) -> None:
        """Show this in place of what was there. layout: whether it may take more or less room than that did."""
        self._text.update(content, layout=layout)

    def color(self, name: str) -> str:
        """A colour of the theme, as Rich takes it."""
        return theme_color(self, name)


def theme_color(widget: Widget, name: str) -> str:
    value = widget.app.theme_variables.get(name, "")
    return value if value.startswith("#") else "default"
