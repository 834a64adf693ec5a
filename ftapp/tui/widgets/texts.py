"""Updates of texts that rarely change."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


def set_text(place: Static, text: str | Content) -> None:
    """Show a text, unless the widget shows it already: each update costs a layout of the screen."""
    if place.content != text:
        place.update(text)
