"""The keys at the bottom of a screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey


class Keys(Footer):
    """A footer that cuts off what has no room, but never the key of the help, which tells all keys."""

    DEFAULT_CSS = """
    Keys FooterKey.-pinned { dock: right; margin: 0; padding-left: 1; background: $footer-background; }
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)

    def compose(self) -> ComposeResult:
        for key in super().compose():
            if isinstance(key, FooterKey) and key.action.endswith("help"):
                key.add_class("-pinned")
            yield key
