"""The command palette. Commands whose names begin with the typed text come first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.command import Hit, Hits
from textual.system_commands import SystemCommandsProvider

from ftapp.tui.run_page import RunPage
from ftapp.tui.search import rank

if TYPE_CHECKING:
    from textual.screen import Screen

    from ftapp.tui.app import FtApp
    from ftapp.tui.jobs import BackgroundJob

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


def list_commands(
    app: FtApp, screen: Screen[object], usual: Iterable[SystemCommand], jobs: Iterable[BackgroundJob]
) -> Iterator[SystemCommand]:
    """List what the palette offers: the keys of a screen, its other actions, jobs, and what is there everywhere.

    Args:
        app: The interface.
        screen: The screen below the palette.
        usual: The commands of every Textual app.
        jobs: The jobs of the interface.
    """
    for active in screen.active_bindings.values():  # the keys in the footer, without those of the app
        binding = active.binding
        if binding.show and active.enabled and active.node is not app:
            act = partial(app.run_action, binding.action, active.node)
            yield SystemCommand(binding.description, binding.tooltip or binding.description, act)
    if isinstance(screen, RunPage):
        yield from screen.list_commands()
    for job in jobs:
        yield SystemCommand(f"Job: {job.title}", f"Show the job, which is {job.status}", partial(app.show_job, job))
    yield from (each for each in usual if each.title not in ("Keys", "Quit"))
    yield SystemCommand("Recipes", "Choose a recipe", lambda: app.action_show("recipes"))
    yield SystemCommand("Runs", "Show all runs, running and ended", lambda: app.action_show("runs"))
    yield SystemCommand("Queue", "Show what runs one after another", lambda: app.action_show("queue"))
    if not app.person.find_obstacle("manage"):
        yield SystemCommand("Empty the trash", "Remove deleted runs for good", app.empty_trash)
    yield SystemCommand("Help", "Explain this screen, and show its keys", app.action_help)
    yield SystemCommand("Quit", "Close the interface; runs continue", app.action_leave)
