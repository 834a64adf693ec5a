"""The keys at the bottom of a screen."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey


class Keys(Footer):
    """A footer that leaves out what has no room, but never the key of the help, which tells all keys."""

    DEFAULT_CSS = """
    Keys FooterKey.-pinned { dock: right; margin: 0; padding-left: 1; background: $footer-background; }
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)
        self._told: object = None
        self._width = 0  # columns that were there when it was composed

    def compose(self) -> ComposeResult:
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        pinned = [key for key in keys if key.action.endswith("help")]
        self._width = self.app.size.width
        room = self._width - sum(1 + _width(key) for key in pinned)
        for key in keys:
            if key in pinned:
                key.add_class("-pinned")
                yield key
            elif _width(key) <= room:
                room -= _width(key) + 1
                yield key

    def on_resize(self) -> None:
        if self._width != self.app.size.width:
            self.refresh(recompose=True)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Compose anew where what is shown is not the same. Textual tells of each change of the focus."""
        active = screen.active_bindings.values()
        told = [(each.binding, each.enabled, each.tooltip) for each in active if each.binding.show]
        if told != self._told:
            self._told = told if screen.app.app_focus else None  # without the focus, nothing is composed
            super().bindings_changed(screen)


def _width(key: FooterKey) -> int:
    """The columns that a key takes, without the one between it and the next."""
    return cell_len(f"{key.key_display} {key.description}")
