"""What tests of screens share."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textual.app import App
from textual.events import Paste
from textual.pilot import Pilot
from textual.screen import Screen

from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.app import FtApp
from ftapp.tui.editor.draft import Draft
from ftapp.tui.screens.recipes import RecipesScreen
from ftapp.tui.screens.run import RunScreen
from ftapp.tui.screens.runs import RunsScreen
from ftapp.tui.widgets.run_table import RunTable
from tests.support.textual_patches import said

SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]


class BareApp(FtApp):
    """The app without its first screen, the list of recipes: drawing it takes as long as a small test of another."""

    def get_default_screen(self) -> Screen[None]:
        return Screen()


class Opened(BareApp):
    """Keeps what the screen asks to open or to start, instead of opening it."""

    def __init__(self) -> None:
        super().__init__()
        self.configured: list[Draft] = []
        self.started: list[Draft] = []
        self.shown: list[RunFolder] = []
        self.compared: list[list[RunFolder]] = []
        self.explored: list[Experiment] = []
        self.tried: list[RunFolder] = []

    def configure(self, draft: Draft) -> None:
        self.configured.append(draft)

    def start(self, draft: Draft) -> None:
        self.started.append(draft)

    def open_run(self, run: RunFolder) -> None:
        self.shown.append(run)

    def open_experiment(self, experiment: Experiment) -> None:
        self.explored.append(experiment)

    def compare(self, chosen: Sequence[RunFolder]) -> None:
        self.compared.append(list(chosen))

    def try_model(self, run: RunFolder) -> None:
        self.tried.append(run)


class Listing(Opened):
    """Begins with the list of recipes, as the interface does."""

    def get_default_screen(self) -> Screen[None]:
        return RecipesScreen()


async def until(pilot: Pilot[None], holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something holds, for as long as a busy machine may take."""
    waited, pause = 0.0, 0.02
    while waited < seconds:
        if holds():
            return
        await pilot.pause(pause)
        waited, pause = waited + pause, min(0.1, 1.2 * pause)
    raise AssertionError("it has not come about")


async def paste(pilot: Pilot[None], text: str) -> None:
    """Paste a text into the field that has the focus, as a terminal does: each key that is typed takes its time."""
    pilot.app.post_message(Paste(text))
    await pilot.pause()


async def start_long_run(pilot: Pilot[None], text: str, folder: Path) -> RunScreen:
    """Start the image recipe with the phase `head` as a run of very many steps, and wait for its third step.

    The caller ends the run.
    """
    app = pilot.app
    assert isinstance(app, FtApp)
    file = folder / "long.toml"
    file.write_text(text, encoding="utf-8")
    app.start(Draft(file, None, {"phase.head.epochs": 10_000, "evaluate.every": 100_000}))
    await until(pilot, lambda: isinstance(app.screen, RunScreen))
    screen = app.screen
    assert isinstance(screen, RunScreen)
    await until(pilot, lambda: len(screen.history.steps) >= 3, seconds=120)
    return screen


async def listed(pilot: Pilot[None], count: int) -> RunTable:
    """The list of runs, once it shows so many lines."""
    await pilot.press("2")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen) and pilot.app.screen.query(RunTable))
    table = pilot.app.screen.query_one(RunTable)
    await until(pilot, lambda: len(table.rows) == count)
    await pilot.pause()
    return table


async def reached(pilot: Pilot[None], tabs: int) -> set[str | None]:
    """The ids of what Tab, pressed so often, goes to, each of which is in sight."""
    seen = set()
    for _ in range(tabs):
        focused = pilot.app.screen.focused
        assert focused is not None
        seen.add(focused.id)
        assert focused.size.height >= 1
        await pilot.press("tab")
    return seen


def notes(app: App[None]) -> str:
    """What the app has noted, a note a line."""
    return "\n".join(said.get(app, []))


@contextmanager
def living(run: RunFolder) -> Iterator[None]:
    """The run counts as alive, as if it had a process."""
    with run.lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def drawn(screen: Screen[Any]) -> list[str]:
    """The rows of the screen as the terminal shows them."""
    return [strip.text for strip in screen._compositor.render_strips()]
