"""A titled box of text, which the panes of runs derive from."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static


class Pane(VerticalScroll, can_focus=True):
    """A titled box with text, which scrolls."""

    ALLOW_MAXIMIZE = True  # unlike other containers
    DEFAULT_CSS = """
    Pane.-maximized { height: 1fr !important; max-height: 100% !important; }
    """

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = title
        self._text = Static(markup=False)
        self._again: Callable[[], object] | None = None  # draws the content again

    def on_resize(self) -> None:
        if self._again:  # the content depends on the width
            self._again()

    def compose(self) -> ComposeResult:
        yield self._text

    def put(self, content: RenderableType, *, layout: bool = True) -> None:
        """Replace the content.

        Args:
            content: The new content.
            layout: Whether its height may differ from that of the former content.
        """
        self._text.update(content, layout=layout)

    def color(self, name: str) -> str:
        """Return a colour of the theme, as Rich takes it."""
        return theme_color(self, name)


def theme_color(widget: Widget, name: str) -> str:
    """Return a colour of the theme, as Rich takes it; "default" where the theme has no number for it."""
    value = widget.app.theme_variables.get(name, "")
    return value if value.startswith("#") else "default"
