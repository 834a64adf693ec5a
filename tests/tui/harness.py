"""What tests of screens share."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from textual.pilot import Pilot

from ftapp.experiments import Experiment
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
        self.explored: list[Experiment] = []
        self.tried: list[Run] = []

    def configure(self, draft: Draft) -> None:
        self.configured.append(draft)

    def start(self, draft: Draft) -> None:
        self.started.append(draft)

    def open_run(self, run: Run) -> None:
        self.shown.append(run)

    def open_experiment(self, experiment: Experiment) -> None:
        self.explored.append(experiment)

    def compare(self, chosen: Sequence[Run]) -> None:
        self.compared.append(list(chosen))

    def try_model(self, run: Run) -> None:
        self.tried.append(run)


async def until(pilot: Pilot[None], holds: Callable[[], object], seconds: float = 10) -> None:
    """Wait until something holds, for as long as a busy machine may take."""
    for _ in range(round(seconds / 0.02)):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError("it has not come about")


@contextmanager
def living(run: Run) -> Iterator[None]:
    """The run counts as alive, as if it had a process."""
    with run.lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
