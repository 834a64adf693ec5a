"""How screens look, as text, for recorded runs at several sizes. FTAPP_RECORD_SNAPSHOTS=1 records those of now instead.

The runs in tests/fixtures/recorded are real ones: events, recipe and environment as `ftapp run` left them. Their times
are shown in UTC.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_lookup import list_runs
from ftapp.tui.app import FtApp
from ftapp.tui.screens.recipes import RecipesScreen
from ftapp.tui.screens.run import RunScreen
from ftapp.tui.widgets.chart import Chart
from tests.support.files import FIXTURES
from tests.tui.harness import until

SNAPSHOTS = FIXTURES / "snapshots"


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, RunFolder]]:
    """The recorded runs by the names of their recipes, in the folder that the interface lists."""
    shutil.copytree(FIXTURES / "recorded", tmp_path / "runs")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield {run.environment()["recipe"]: run for run in list_runs(tmp_path / "runs")}
    monkeypatch.undo()
    time.tzset()


def screen_text(app: FtApp) -> str:
    """What the terminal shows, without colours."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


async def compared(pilot: Pilot[None], name: str) -> None:
    """Hold the screen, once it has come to rest, against the snapshot of this name."""
    app = pilot.app
    assert isinstance(app, FtApp)
    shown, before = screen_text(app), ""
    while shown != before:
        await pilot.pause(0.2)
        await pilot.pause()
        shown, before = screen_text(app), shown
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("FTAPP_RECORD_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text("utf-8"), f"{name} looks different"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["narrow", "wide"])
@pytest.mark.parametrize("recipe", ["vgg16-feature-extractor", "gpt2-targeted"])
async def test_a_runs_screen(recorded: dict[str, RunFolder], recipe: str, size: tuple[int, int]) -> None:
    app = FtApp()
    async with app.run_test(size=size) as pilot:
        app.open_run(recorded[recipe])
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.ended)
        await until(pilot, lambda: bool(app.screen.query_one("#loss", Chart).curves))
        await compared(pilot, f"run-{recipe}-{size[0]}")


async def test_recipes(recorded: dict[str, RunFolder]) -> None:
    app = FtApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RecipesScreen) and "gpt2-full" in screen_text(app))
        await until(pilot, lambda: "Last run  done" in screen_text(app))
        await pilot.press("down", "down")
        await until(pilot, lambda: "Last run  not run" in screen_text(app) and "linear SVM (hinge" in screen_text(app))
        await compared(pilot, "recipes-100")
