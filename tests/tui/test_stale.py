"""What is shown of a former recipe is faint at once, until what is shown is of the recipe as it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.widgets import Input

from ftapp.common.downloads import Progress
from ftapp.recipe import Recipe
from ftapp.recipe.structure import Structure
from ftapp.rpc import structure_cache
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.rpc.messages import Costs, Example, Preview, Tokens
from ftapp.tui.editor.configure import ConfigureScreen
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.layers_pane import LayersPane
from tests.tui.configuring import HUB, fill, line, opened, text_of
from tests.tui.harness import Opened, until
from tests.tui.structures import bert


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    """A recipe that needs no hub, with a table whose contents the helper process would read."""
    (tmp_path / "reviews.csv").write_text("text,label\n" + "good,good\nbad,bad\n" * 20)
    text = HUB.replace("bert_base_en_uncased", "assets:gpt2_mini")
    file = tmp_path / "recipe.toml"
    file.write_text(text.replace("tfds:imdb_reviews", f"csv:{tmp_path}/reviews.csv"), encoding="utf-8")
    return Draft(file)


class Slow(InspectorClient):
    """Answers when it may."""

    def __init__(self, *, offline: bool = False) -> None:
        super().__init__(offline=offline)
        self.may = asyncio.Event()
        self.asked = 0

    async def describe_structure(self, recipe: Recipe, progress: Progress | None = None) -> Structure:
        await self.may.wait()
        return bert()

    async def estimate_costs(
        self, recipe: Recipe, phase: int, layers: object = None, progress: Progress | None = None
    ) -> Costs:
        await self.may.wait()
        return Costs(
            parameters=10,
            trainable=1,
            estimate=None,
            choice=None,
            data_error=None,
            examples=4,
            steps=3,
            epochs=1.0,
            step=0.1,
            basis="measured",
        )

    async def preview_data(self, recipe: Recipe, examples: int = 8, progress: Progress | None = None) -> Preview:
        self.asked += 1
        await self.may.wait()
        return Preview(
            sizes={"train": recipe.data.limit or 40, "validation": 0, "test": 0},
            classes=("bad", "good"),
            counts={"train": (20, 20)},
            characters=None,
            duplicates=0,
            examples=(Example(label="bad", text="A text"),),
        )

    async def count_tokens(self, recipe: Recipe, examples: int = 8, progress: Progress | None = None) -> Tokens:
        return Tokens(counts=(2,), length=16, sequences=None)


async def test_what_is_of_a_former_recipe_is_faint_at_once(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftapp.tui.editor.previews.InspectorClient", Slow)
    monkeypatch.setattr(structure_cache, "load", lambda _: None)
    async with opened(draft) as (screen, pilot):
        data, layers = screen.query_one("#data-preview"), screen.query_one(LayersPane)
        inspector = screen.previews.inspector
        assert isinstance(inspector, Slow)
        inspector.may.set()
        await until(pilot, lambda: "40 train" in text_of(screen.query_one("#sizes")))
        await until(pilot, lambda: "0.3 s" in text_of(screen.query_one("#cost")))
        assert not data.has_class("-stale")

        inspector.may.clear()
        await pilot.press("f4")
        await fill(screen, pilot, "data.limit", "20")
        assert data.has_class("-stale")
        assert screen.query_one("#sizes").opacity < 0.5
        assert "reading" in text_of(screen.query_one("#data-state"))
        assert "40 train" in text_of(screen.query_one("#sizes"))
        assert screen.query_one("#cost").opacity < 0.6
        assert not layers.has_class("-stale")  # of the same model
        inspector.may.set()
        await until(pilot, lambda: "20 train" in text_of(screen.query_one("#sizes")))
        assert screen.query_one("#sizes").opacity == 1
        await until(pilot, lambda: screen.query_one("#cost").opacity == 1)

        inspector.may.clear()
        await fill(screen, pilot, "model.sequence_length", "24")
        assert layers.has_class("-stale")
        inspector.may.set()
        await until(pilot, lambda: not layers.has_class("-stale"))
        await layers.remove_children()  # as in a screen that is being left
        layers.on_resize()
        await pilot.pause()


async def test_a_screen_can_be_left_before_it_shows_the_draft(draft: Draft) -> None:
    app = Opened()
    async with app.run_test() as pilot:
        mounted = app.push_screen(ConfigureScreen(draft))
        await mounted
        await app.screen.remove_children()
        await pilot.pause()
        await app.pop_screen()


async def test_what_cannot_be_read_any_more_is_faint_and_comes_back(
    draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftapp.tui.editor.previews.InspectorClient", Slow)
    monkeypatch.setattr(structure_cache, "load", lambda _: None)
    async with opened(draft) as (screen, pilot):
        data, inspector = screen.query_one("#data-preview"), screen.previews.inspector
        assert isinstance(inspector, Slow)
        inspector.may.set()
        await until(pilot, lambda: "40 train" in text_of(screen.query_one("#sizes")))
        await fill(screen, pilot, "phase.learning_rate", "fast")
        assert not data.has_class("-stale")  # data have nothing to do with it
        assert screen.query_one("#cost").opacity < 0.6
        await fill(screen, pilot, "phase.learning_rate", "")
        source = line(screen, "data.source")
        former = source.query_one(Input).value
        source.put("csv:gone.csv")
        await pilot.pause()
        assert data.has_class("-stale")
        assert "valid" in text_of(screen.query_one("#data-state"))
        source.put(former)
        await until(pilot, lambda: not data.has_class("-stale"))
        assert isinstance(screen, ConfigureScreen)
