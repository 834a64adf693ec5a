"""The keys at the bottom of a screen."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey


class Keys(Footer):
    """A footer that drops the keys for which there is no space, but never that of the help.

    Textual's own footer scrolls instead (Textualize/textual#3762). Its parts are private: `FooterKey`.
    """

    DEFAULT_CSS = """
    Keys FooterKey.-pinned { dock: right; margin: 0; padding-left: 1; background: $footer-background; }
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)
        self._shown: object = None
        self._width = 0  # columns of the screen when the footer was composed

    def compose(self) -> ComposeResult:
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        pinned = [key for key in keys if key.action.endswith("help")]
        self._width = self.app.size.width
        room = self._width - sum(1 + _width(key) for key in pinned)
        for key in keys:
            key.add_class("-compact", update=False)  # the footer makes them compact once they are styled: again
            if key in pinned:
                key.add_class("-pinned", update=False)
                yield key
            elif _width(key) <= room:
                room -= _width(key) + 1
                yield key

    def on_resize(self) -> None:
        if self._width != self.app.size.width:
            self.refresh(recompose=True)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Compose the footer where its keys differ. Textual calls this at each change of the focus."""
        active = screen.active_bindings.values()
        shown = [(each.binding, each.enabled, each.tooltip) for each in active if each.binding.show]
        if shown != self._shown:
            self._shown = shown if screen.app.app_focus else None  # without the focus, nothing is composed
            super().bindings_changed(screen)


def _width(key: FooterKey) -> int:
    """The width of a key in columns, without the gap after it."""
    return cell_len(f"{key.key_display} {key.description}")
