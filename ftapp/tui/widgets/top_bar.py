"""The line at the top: where one is, and how many runs go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.reactive import reactive
from textual.widgets import Static

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp

_PLACES = {"recipes": ("1", "Recipes"), "runs": ("2", "Runs")}


class TopBar(Horizontal):
    """The places of the interface, of which one is marked, and the number of live runs."""

    app: FtApp
    live = reactive(0)

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    def compose(self) -> ComposeResult:
        yield Static("[b]ftapp[/b]", id="brand")
        for place, (key, label) in _PLACES.items():
            action = f"app.show('{place}')"
            yield Static(
                f"[@click={action}][dim]{key}[/dim] {label}[/]",
                classes="place -here" if place == self._place else "place",
            )
        yield Static(id="live")

    def on_mount(self) -> None:
        self.watch(self.app, "live_runs", self._show_live)

    def _show_live(self, count: int) -> None:
        text = "" if not count else f"[$success]●[/] {count} {'run goes' if count == 1 else 'runs go'} on"
        self.query_one("#live", Static).update(text)
