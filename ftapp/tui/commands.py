"""The command palette. Commands whose names begin with the typed text come first."""

from __future__ import annotations

from textual.command import Hit, Hits
from textual.system_commands import SystemCommandsProvider

from ftapp.tui.search import rank

_LAST = 10  # beyond all ranks


class CommandPalette(SystemCommandsProvider):
    """Finds commands by name, then by description, then by letters of the name in order."""

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, description, act, _ in self.app.get_system_commands(self.screen):
            place, letters = rank(query, name, description), matcher.match(name)
            if place is not None or letters > 0:
                score = letters / 1000 if place is None else _LAST - place
                yield Hit(score, matcher.highlight(name), act, help=description)
