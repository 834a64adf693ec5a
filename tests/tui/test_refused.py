"""Runs whose data are refused after they are started: they leave nothing, and the reason is told on any screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets._toast import Toast

from ftapp import recipe
from ftapp.common import user_folders
from ftapp.experiments.options import Options
from ftapp.tui.app import FtApp
from ftapp.tui.editor.draft import Draft
from ftapp.tui.screens.recipes import RecipesScreen
from ftapp.tui.screens.runs import RunsScreen
from tests.tui.harness import until
from tests.unit.data.test_preflight import broken_photos


@pytest.mark.parametrize("options", [Options(), Options(repeats=2)])
@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_broken_picture_is_told_and_leaves_no_run(options: Options, elsewhere: bool, tmp_path: Path) -> None:
    broken_photos(tmp_path / "photos")
    changes = {"data.source": f"folder:{tmp_path}/photos", "data.classes": None}
    draft = Draft(recipe.find("vgg16-feature-extractor"), "quick", changes, options)
    app = FtApp()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        app.start(draft)
        await until(pilot, lambda: len(app.screen_stack) > 1 or app._notifications)  # it may be refused at once
        if elsewhere:
            await pilot.press("2")
        await until(pilot, lambda: app.screen.query(Toast), seconds=60)
        await until(pilot, lambda: isinstance(app.screen, RunsScreen if elsewhere else RecipesScreen))
        (note,) = app._notifications
        assert note.title == "This recipe cannot run"
        assert "cat/3.png: data.source: this image cannot be decoded" in note.message
        assert not list(user_folders.runs().rglob("recipe.toml"))
