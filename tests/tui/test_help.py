"""Help: it is in sight at every size, and tells all keys, those of the footer first."""

from __future__ import annotations

from itertools import pairwise

import pytest
from textual.widgets._footer import FooterKey

from ftapp.tui.app import FtApp
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.dialogs.help import HelpScreen
from ftapp.tui.screens.recipes import RecipesScreen
from ftapp.tui.screens.runs import RunsScreen
from ftapp.tui.widgets.facts import Facts
from tests.tui.conftest import Write
from tests.tui.harness import SIZES, living, until


@pytest.mark.parametrize("size", SIZES)
async def test_the_key_of_the_help_is_never_cut_off(size: tuple[int, int]) -> None:
    app = FtApp()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RecipesScreen))
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.query(FooterKey))

        def pinned() -> list[tuple[str, int]]:
            """Of the footer as it is now; it is composed again when the list takes the focus."""
            keys = app.screen.query("FooterKey.-pinned").results(FooterKey)
            return [(key.description, key.region.right) for key in keys]

        await until(pilot, lambda: pinned() == [("Help", size[0])])


async def test_no_key_is_shown_in_part() -> None:
    app = FtApp()
    async with app.run_test(size=(120, 40)) as pilot:

        def shown() -> list[FooterKey]:
            return sorted(app.screen.query(FooterKey), key=lambda key: key.region.x)

        def is_whole() -> bool:
            widths = all(key.region.width >= len(f"{key.key_display} {key.description}") for key in shown())
            apart = all(key.region.right <= following.region.x for key, following in pairwise(shown()))
            return widths and apart and shown()[-1].region.right == app.size.width

        await until(pilot, lambda: len(shown()) > 5 and is_whole())
        await pilot.pause()
        everything = len(shown())
        for width in (50, 40, 30):
            await pilot.resize_terminal(width, 20)
            await until(pilot, lambda: len(shown()) < everything and is_whole())
            assert shown()[-1].description == "Help"
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: len(shown()) == everything and is_whole())


async def test_the_footer_is_composed_again_only_when_its_keys_change() -> None:
    app = FtApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: len(app.screen.query(FooterKey)) > 5)
        await pilot.pause()
        before = list(app.screen.query(FooterKey))
        app.screen.refresh_bindings()
        await pilot.pause()
        assert list(app.screen.query(FooterKey)) == before
        await pilot.press("slash")
        await until(pilot, lambda: "Clear" in [key.description for key in app.screen.query(FooterKey)])


async def test_help_tells_the_keys_of_the_footer_first_and_common_ones_last() -> None:
    app = FtApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RecipesScreen) and app.screen.entry)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and app.screen.query(Facts))
        rows = [(label, *map(str, values)) for label, *values in app.screen.query_one(Facts).rows]
        assert rows[:2] == [("⏎", "Configure"), ("r", "Run")]
        assert ("↑", "Up") in rows
        assert rows[-3:-1] == [
            ("tab", "Go to the next part of the screen"),
            ("shift+tab", "Go to the previous part of the screen"),
        ]


async def test_the_palette_offers_the_screens_keys_and_quits_as_its_key_does(write_run: Write) -> None:
    app = FtApp()
    with living(write_run(status=None)):
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: isinstance(app.screen, RecipesScreen) and app.screen.entry and app.live_runs)
            commands = {each.title: each for each in app.get_system_commands(app.screen)}
            assert {"Configure", "Run", "Copy", "Recipes", "Runs", "Help", "Theme", "Quit"} <= set(commands)
            assert "Keys" not in commands
            recipes = app.screen
            assert isinstance(recipes, RecipesScreen)
            before = recipes.profile
            app.call_later(commands["Profile"].callback)
            await until(pilot, lambda: recipes.profile != before)
            app.call_later(commands["Quit"].callback)
            await until(pilot, lambda: isinstance(app.screen, Dialog))
