"""The line at the top: the current place, how many runs and jobs are running, and in a class who uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from ftapp.common.formatting import format_quantity
from ftapp.tui.widgets.texts import set_text

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp

_PLACES = {"recipes": ("1", "Recipes"), "runs": ("2", "Runs"), "queue": ("3", "Queue")}


class TopBar(Horizontal):
    """Shows the places of the interface, the current one marked, and how many runs and jobs are running."""

    app: FtApp

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
        self.watch(self.app, "waiting_runs", self._show_live)
        self.watch(self.app, "live_jobs", self._show_live)
        self.watch(self.app, "turn", self._show_live)

    def _show_live(self) -> None:
        counts = [(self.app.live_runs, "run"), (self.app.live_jobs, "job")]
        words = [format_quantity(count, name) for count, name in counts if count]
        verb = "is" if sum(count for count, _ in counts) == 1 else "are"
        person = self.app.person
        who = "only watching" if person.role == "viewer" else person.name
        parts: list[str | Content] = [Content.styled(who, "b")] if who else []
        if words:
            parts.append(Content.assemble(("● ", "$success"), f"{' and '.join(words)} {verb} running"))
        if waiting := self.app.waiting_runs:
            parts.append(f"{format_quantity(waiting, 'run')} {'waits' if waiting == 1 else 'wait'}")
        parts += [f"yours waits: {self.app.turn}"] if self.app.turn else []
        set_text(self.query_one("#live", Static), Content("  ·  ").join(map(Content.assemble, parts)))
