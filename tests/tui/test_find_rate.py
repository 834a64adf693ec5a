"""A learning rate range test from Configure: its curve as it grows, what it suggests, and the rate that is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Button, Input

from ftapp.analysis.lr_suggestions import LossCurve, advise
from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.recipe import Recipe
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.find_rate import FindRate
from ftapp.tui.editor.range_plot import RangePlot
from ftapp.tui.widgets.facts import Facts
from tests.tui.configuring import line, opened, text_of, wait_for_helper
from tests.tui.harness import SIZES, Opened, drawn, notes, until
from tests.tui.test_choose import IMAGES


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    file = tmp_path / "images.toml"
    text = IMAGES.replace("tfds:tf_flowers", "sklearn:digits").replace('"vgg_16_imagenet"', f'"{tmp_path}/preset"')
    (tmp_path / "preset").mkdir()
    (tmp_path / "preset" / "config.json").write_text("{}")
    file.write_text(text, encoding="utf-8")
    return Draft(file)


def falling(rates: tuple[float, float], steps: int, on_step: Callable[[float, float], None], own: float) -> Any:
    """The result of a test whose loss falls, and rises from a rate of about 0.1 on."""
    curve = LossCurve(steps)
    for number in range(steps):
        rate = rates[0] * (rates[1] / rates[0]) ** (number / (steps - 1))
        loss = 2.0 / (1 + 300 * rate) + 3 * rate**2
        on_step(rate, loss)
        if not curve.add(rate, loss):
            break
    found = advise(curve, own)
    return {
        "ended": curve.ended,
        "optimizer": "adam",
        "batch_size": 32,
        "seconds": 3.0,
        "own_rate": own,
        "suggestions": [vars(each) for each in found.suggestions],
        "rate": found.rate,
        "sentences": found.sentences,
    }


@pytest.mark.parametrize("sizes", [SIZES[:2], SIZES[2:]])
async def test_a_rate_is_found_and_taken(
    draft: Draft, sizes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tested(_: Any, recipe: Recipe, phase: int, rates: Any, steps: int, on_step: Any, report: Progress) -> Any:
        assert recipe.phase[phase].name == "finetune"
        report("range test", 1, steps)
        return falling(rates, steps, on_step, recipe.phase[phase].base_rate)

    monkeypatch.setattr(InspectorClient, "find_rate", tested)
    app = Opened()
    async with opened(draft, sizes[0], app) as (screen, pilot):
        await pilot.press("right_square_bracket")
        for done, size in enumerate(sizes, start=1):
            await pilot.resize_terminal(*size)
            await pilot.press("l")
            await until(pilot, lambda: isinstance(app.screen, FindRate) and app.screen.has_class("-known"))
            await pilot.pause()
            dialog = app.screen
            assert isinstance(dialog, FindRate)
            sheet = dialog.query_one("#sheet").region
            for button in dialog.query(Button):
                assert sheet.contains_region(button.region)
            assert dialog.query_one(RangePlot).size.height >= 4
            assert any("⠤" <= sign <= "⣿" for row in drawn(dialog) for sign in row)  # the curve
            rows = {row[0]: str(row[-1]) for row in dialog.query_one(Facts).rows}
            assert set(rows) == {"steep", "minimum", "valley", "recipe", "suggestion"}
            await pilot.press("a")
            await until(pilot, lambda: app.screen is screen)
            await pilot.pause()
            rate = float(rows["suggestion"])
            assert rows["recipe"].split(maxsplit=1) == ["0.0001", "the rate of the phase now"]
            assert screen.form.draft.changes == {"phase.finetune.learning_rate": rate}
            assert float(line(screen, "phase.learning_rate").query_one(Input).value) == rate
            await pilot.press("ctrl+z")
            assert screen.form.draft == draft
            assert notes(app).count("undoes it") == done


async def test_what_cannot_be_tested_is_told(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[tuple[float, float], int]] = []

    async def tested(_: Any, recipe: Recipe, phase: int, rates: Any, steps: int, on_step: Any, report: Progress) -> Any:
        given.append((rates, steps))
        raise RunError("the model could not be loaded")

    monkeypatch.setattr(InspectorClient, "find_rate", tested)
    async with opened(draft) as (_, pilot):
        await pilot.press("l")
        await until(pilot, lambda: isinstance(pilot.app.screen, FindRate))
        dialog = pilot.app.screen
        await until(pilot, lambda: "could not be loaded" in text_of(dialog.query_one("#state")))
        assert dialog.query_one("#apply", Button).disabled
        for name, value, words in [
            ("low", "fast", "'fast'"),
            ("low", "20", "a rate above 0, then a higher one"),
            ("low", "1e-5", "could not be loaded"),
            ("steps", "3", "at least 20"),
        ]:
            dialog.query_one(f"#{name}", Input).value = value
            dialog.query_one("#test", Button).press()
            await until(pilot, lambda words=words: words in text_of(dialog.query_one("#state")))  # type: ignore[misc]
        assert given == [((1e-6, 10.0), 100), ((1e-5, 10.0), 100)]
        await pilot.press("a")  # nothing to take
        assert pilot.app.screen is dialog


async def test_the_test_is_a_process_that_trains_and_ends_with_its_screen(image_recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        results: list[float | None] = []
        app.push_screen(FindRate(Draft(file).load(), 0, offline=False), results.append)
        await wait_for_helper(pilot, lambda: app.screen.has_class("-known"))
        curve = app.screen.query_one(RangePlot)._curve
        assert curve is not None
        assert len(curve.losses) > 20
        await pilot.press("escape")
        assert results == [None]
        app.push_screen(FindRate(Draft(file).load(), 0, offline=False), results.append)
        await pilot.pause(0.5)
        await pilot.press("escape")  # while it starts; no process is left, which a fixture sees to
        await until(pilot, lambda: len(results) == 2)


async def test_an_answer_to_a_dialog_that_was_left_is_not_shown(
    image_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, left = asyncio.Event(), asyncio.Event()
    answered = []

    async def tested(_: Any, recipe: Recipe, phase: int, rates: Any, steps: int, on_step: Any, report: Progress) -> Any:
        asked.set()
        await left.wait()
        answered.append(phase)
        return falling(rates, steps, on_step, recipe.phase[phase].base_rate)

    monkeypatch.setattr(InspectorClient, "find_rate", tested)
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        dialog = FindRate(Draft(file).load(), 0, offline=False)
        app.push_screen(dialog)
        await asyncio.wait_for(asked.wait(), 10)
        dialog.dismiss(None)
        left.set()  # the answer comes while the widgets go
        await pilot.pause()
        assert answered == [0]
        assert not dialog.has_class("-known")


async def test_taking_back_a_rate_shows_the_former_one_also_where_the_focus_is(
    draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tested(_: Any, recipe: Recipe, phase: int, rates: Any, steps: int, on_step: Any, report: Progress) -> Any:
        return falling(rates, steps, on_step, recipe.phase[phase].base_rate)

    monkeypatch.setattr(InspectorClient, "find_rate", tested)
    async with opened(draft) as (screen, pilot):
        await pilot.press("l")
        await until(pilot, lambda: pilot.app.screen.has_class("-known"))
        await pilot.press("a")
        await until(pilot, lambda: pilot.app.screen is screen)
        box = line(screen, "phase.learning_rate").query_one(Input)
        box.focus()
        await pilot.pause()
        assert box.value
        await pilot.press("ctrl+z")
        await pilot.pause()
        assert box.value == ""
        await pilot.press(*"0.5")
        await pilot.pause()
        await pilot.press("ctrl+z")  # a change of the user's own is not taken back
        await pilot.pause()
        assert screen.form.draft.changes == {"phase.head.learning_rate": 0.5}
