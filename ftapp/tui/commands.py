"""The command palette, in which a command stands first whose name is what is typed, or begins with it."""

from __future__ import annotations

from textual.command import Hit, Hits
from textual.system_commands import SystemCommandsProvider

from ftapp.tui.search import rank

_LAST = 10  # beyond all ranks


class Commands(SystemCommandsProvider):
    """Finds commands by their names, then by what is said about them, then by letters of their names in order."""

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, told, act, _ in self.app.get_system_commands(self.screen):
            place, letters = rank(query, name, told), matcher.match(name)
            if place is not None or letters > 0:
                score = letters / 1000 if place is None else _LAST - place
                yield Hit(score, matcher.highlight(name), act, help=told)
