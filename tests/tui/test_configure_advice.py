"""The Configure screen: advice from the features of one's data."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Button, TextArea

from ftapp import recipe
from ftapp.common.downloads import Progress
from ftapp.recipe import Recipe
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.rpc.messages import Survey
from ftapp.tui.editor.advise import AdviseScreen
from ftapp.tui.editor.data_pane import DataPane
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.layer_tree import LayerTree
from ftapp.tui.widgets.dropdown import Dropdown
from ftapp.tui.widgets.facts import Facts
from tests.support.presets import Tiny, few_photos
from tests.support.surveys import make_survey
from tests.tui.configuring import line, opened, text_of, wait_for_helper, with_layers
from tests.tui.harness import SIZES, Opened, notes, until


@pytest.mark.slow
async def test_advice_is_given_copied_set_and_taken_back(image_recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    app = Opened()
    async with opened(Draft(file), app=app) as (screen, pilot):
        await until(pilot, lambda: isinstance(screen.focused, LayerTree), 120)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, AdviseScreen))
        await wait_for_helper(pilot, lambda: app.screen.has_class("-known"))
        facts = {row[0]: str(row[-1]) for row in app.screen.query_one("#facts", Facts).rows}
        assert facts["data"].endswith("photos: 40 examples, 28 of them to train on")
        assert facts["size"].startswith("Small")
        assert [row[0] for row in app.screen.query_one("#probes", Facts).rows] == ["features of", "block1", "block2"]
        assert "--set" not in "\n".join(text_of(app.screen.query_one(name)) for name in ("#said", "#notes"))
        values = {row[0].strip(): str(row[-1]) for row in app.screen.query_one("#values", Facts).rows}
        assert values["recipe"].startswith("vgg16-")
        await pilot.press("y")
        assert app.clipboard.startswith(f"ftapp run {values['recipe']}")
        for key in ("down", "pagedown", "pageup", "up"):
            await pilot.press(key)
        await pilot.press("escape")
        assert app.screen is screen
        assert screen.form.draft == Draft(file)
        line(screen, "experiment.repeats").query_one(Dropdown).focus()
        await pilot.press("2", "f2", "v")  # the answer is kept
        await until(pilot, lambda: app.screen.has_class("-known"))
        await pilot.press("a")
        await until(pilot, lambda: app.screen is screen)
        await until(pilot, lambda: screen.form.draft.path.stem == values["recipe"])
        await pilot.pause()
        chosen = screen.form.draft.load()
        assert chosen.data.source == recipe.load(file).data.source
        assert chosen.model.image_size == [16, 16]
        assert screen.form.draft.options.repeats == 2
        assert values["recipe"] in text_of(screen.query_one("#title"))
        assert screen.query_one("#rules", TextArea).text.splitlines() == chosen.phase[0].layers
        assert screen.unsaved
        assert "ctrl+z undoes it" in notes(app)
        await pilot.press("ctrl+z")
        await pilot.pause()
        assert screen.form.draft.path == file
        assert not screen.unsaved


@pytest.mark.parametrize("size", SIZES)
async def test_the_buttons_of_advice_are_in_sight(image_recipe: str, tmp_path: Path, size: tuple[int, int]) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    found = make_survey([(0.9, (-0.01, 0.1)), *[(0.85, (0.0, 0.0))] * 4], (80, 90), positions=(4, 4))

    class Known(InspectorClient):
        async def survey(self, recipe: Recipe, progress: Progress | None = None) -> Survey:
            return found

    app = Opened()
    async with app.run_test(size=size) as pilot:
        app.push_screen(AdviseScreen(recipe.parse(image_recipe), Draft(file), Known()))
        await until(pilot, lambda: app.screen.has_class("-known"))
        await pilot.pause()
        buttons = list(app.screen.query(Button))
        assert [str(button.label) for button in buttons] == ["Apply (a)", "Apply vgg16-early-layers", "Close"]
        sheet = app.screen.query_one("#sheet").region
        assert all(sheet.contains_region(button.region) for button in buttons)
        assert app.screen.focused is buttons[0]
        assert "choice is close" in text_of(app.screen.query_one("#said"))


async def test_advice_that_cannot_be_had_says_why(draft: Draft, lm_recipe: str, tmp_path: Path) -> None:
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("v")
        await until(pilot, lambda: "g fetches them" in notes(pilot.app))
        assert pilot.app.screen is screen
    file = tmp_path / "lm.toml"
    file.write_text(lm_recipe, encoding="utf-8")
    async with opened(Draft(file)) as (screen, pilot):
        screen.set_focus(None)
        await pilot.press("v")
        await until(pilot, lambda: "for classifiers" in notes(pilot.app))
        assert not screen.query_one(DataPane).has_class("-classes")


async def test_data_that_are_too_few_are_told_in_the_dialog(image_recipe: str, tiny: Tiny, tmp_path: Path) -> None:
    few = few_photos(tiny, tmp_path / "few")
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    async with opened(Draft(file, None, {"data.source": f"folder:{few}"})) as (screen, pilot):
        await pilot.press("f4")
        await wait_for_helper(pilot, lambda: screen.query_one("#advise").region)
        await pilot.pause()
        await pilot.click("#advise")
        await until(pilot, lambda: isinstance(pilot.app.screen, AdviseScreen))
        await wait_for_helper(pilot, lambda: "two classes or more" in text_of(pilot.app.screen.query_one("#said")))
        await pilot.press("enter")
        assert pilot.app.screen is screen
