"""Help for a screen: what it is for, and all its keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Markdown


class HelpScreen(ModalScreen[None]):
    """Shows the HELP of the screen below, and the keys that work on it now."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Close")]

    def __init__(self, page: Screen[object]) -> None:
        super().__init__()
        self._text = f"{(getattr(page, 'HELP', None) or '').strip()}\n\n{_keys(page)}"

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Markdown(self._text)


def _keys(page: Screen[object]) -> str:
    """The active bindings as a Markdown table, those of the focused widget first."""
    rows: dict[str, list[str]] = {}
    for active in page.active_bindings.values():
        binding = active.binding
        if active.enabled and binding.description and not binding.system:
            rows.setdefault(binding.tooltip or binding.description, []).append(page.app.get_key_display(binding))
    lines = [f"| {' '.join(dict.fromkeys(keys))} | {what} |".replace("\\", "\\\\") for what, keys in rows.items()]
    return "\n".join(["| key | |", "|---|---|", *lines])
