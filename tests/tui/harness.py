"""What tests of screens share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.pilot import Pilot

from ftapp.runs import Run
from ftapp.tui.app import FtApp
from ftapp.tui.draft import Draft

SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]


class Opened(FtApp):
    """Keeps what the screen asks to open or to start, instead of opening it."""

    def __init__(self) -> None:
        super().__init__()
        self.configured: list[Draft] = []
        self.started: list[Draft] = []
        self.shown: list[Run] = []
        self.compared: list[list[Run]] = []
        self.tried: list[Run] = []

    def configure(self, draft: Draft) -> None:
        self.configured.append(draft)

    def start(self, draft: Draft) -> None:
        self.started.append(draft)

    def open_run(self, run: Run) -> None:
        self.shown.append(run)

    def compare(self, chosen: Sequence[Run]) -> None:
        self.compared.append(list(chosen))

    def try_model(self, run: Run) -> None:
        self.tried.append(run)


async def until(pilot: Pilot[None], holds: Callable[[], object]) -> None:
    """Wait until something holds, for as long as a busy machine may take."""
    for _ in range(500):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError("it has not come about")
