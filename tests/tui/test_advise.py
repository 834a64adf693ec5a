"""Advice in the interface: what it sets, and what it asks again."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Button

from ftapp import recipe
from ftapp.common.downloads import Progress
from ftapp.recipe import Recipe
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.rpc.messages import Survey
from ftapp.tui.editor.advise import AdviseScreen
from ftapp.tui.editor.draft import Draft
from tests.support.surveys import make_survey
from tests.tui.harness import Opened, until
from tests.tui.test_choose import IMAGES


async def test_advice_on_small_images_is_asked_again_at_a_larger_size(tmp_path: Path) -> None:
    asked: list[list[int] | None] = []
    file = tmp_path / "images.toml"
    file.write_text(IMAGES.replace("tfds:tf_flowers", "sklearn:digits"), encoding="utf-8")

    class Known(InspectorClient):
        async def survey(self, recipe: Recipe, progress: Progress | None = None) -> Survey:
            asked.append(recipe.model.image_size)
            size = (recipe.model.image_size or [32])[0] // 32
            early, last = (0.9, (0.01, 0.1)), (0.85, (0.0, 0.0))
            return make_survey([early, *[last] * 4], (80, 90), positions=(size, size))

    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        results: list[Draft | None] = []
        app.push_screen(AdviseScreen(recipe.load(file), Draft(file), Known()), results.append)
        await until(pilot, lambda: app.screen.has_class("-known"))
        again = next(button for button in app.screen.query(Button) if "224" in str(button.label))
        again.press()
        await until(pilot, lambda: len(asked) == 2 and app.screen.has_class("-known"))
        await pilot.pause()
        assert asked == [[64, 64], [224, 224]]
        assert not any("224 x 224" in str(button.label) for button in app.screen.query(Button))
        await pilot.press("a")
        await until(pilot, lambda: results)
        assert results[0]
        assert results[0].load().model.image_size == [224, 224]
        assert results[0].load().model.features == "block1_pool"
