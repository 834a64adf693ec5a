"""The keys at the bottom of a screen."""

from __future__ import annotations

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

    def compose(self) -> ComposeResult:
        for key in super().compose():
            if isinstance(key, FooterKey) and key.action.endswith("help"):
                key.add_class("-pinned")
            yield key
        self.call_after_refresh(self._leave_out)

    def on_resize(self) -> None:
        self.call_after_refresh(self._leave_out)

    def _leave_out(self) -> None:
        """Show no key in part."""
        pinned = sum(key.outer_size.width for key in self.query(".-pinned"))
        for key in self.query(FooterKey).exclude(".-pinned"):
            key.visible = key.virtual_region.right <= self.size.width - pinned

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Compose anew where what is shown is not the same. Textual tells of each change of the focus."""
        active = screen.active_bindings.values()
        told = [(each.binding, each.enabled, each.tooltip) for each in active if each.binding.show]
        if told != self._told:
            self._told = told if screen.app.app_focus else None  # without the focus, nothing is composed
            super().bindings_changed(screen)
