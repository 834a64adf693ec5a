"""Texts of widgets: updates of those that rarely change, and the lines of those that are typed."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


def set_text(place: Static, text: str | Content) -> None:
    """Show a text, unless the widget shows it already: each update costs a layout of the screen."""
    shown = place.content
    if not (isinstance(shown, str | Content) and _make_content(shown).is_same(_make_content(text))):
        place.update(text)


def split_lines(text: str) -> list[str]:
    """Split what is typed into its lines, without space around them and without empty ones."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _make_content(text: str | Content) -> Content:
    return Content(text) if isinstance(text, str) else text
