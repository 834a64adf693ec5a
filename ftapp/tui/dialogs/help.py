"""Help for a screen: its purpose, and all its keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Markdown

from ftapp.tui.widgets.facts import Fact, Facts

# Textual's own keys, which work on every screen. They come last.
_COMMON = {
    "app.focus_next": "Go to the next part of the screen",
    "app.focus_previous": "Go to the previous part of the screen",
    "screen.copy_text": "Copy the text selected with the mouse",
}


class HelpScreen(ModalScreen[None]):
    """Shows the HELP of the screen below, and the keys that work on it now."""

    DEFAULT_CSS = """
    HelpScreen #help-keys { margin: 0 2 1 2; }
    HelpScreen MarkdownH1, HelpScreen MarkdownH2 { content-align: left middle; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Close")]

    def __init__(self, page: Screen[object]) -> None:
        super().__init__()
        self._text = (getattr(page, "HELP", None) or "").strip()
        self._keys = _keys(page)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Markdown(self._text)
            facts = Facts(id="help-keys")
            facts.rows = self._keys
            yield facts


def _keys(page: Screen[object]) -> list[Fact]:
    """List the active bindings with what they do, those of the footer first."""
    footer: dict[str, list[str]] = {}
    moves: dict[str, list[str]] = {}
    common: dict[str, list[str]] = {}
    for active in page.active_bindings.values():
        binding = active.binding
        if active.enabled and binding.description and not binding.system:
            what = _COMMON.get(binding.action) or binding.tooltip or binding.description
            first = common if binding.action in _COMMON else footer if binding.show else moves
            group = next((each for each in (footer, moves) if what in each), first)
            group.setdefault(what, []).append(page.app.get_key_display(binding))
    rows = [*footer.items(), *moves.items(), *common.items()]
    return [(" ".join(dict.fromkeys(keys)), Content(what)) for what, keys in rows]
