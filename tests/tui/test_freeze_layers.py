"""Layers that are frozen and unfrozen on the screen of a run that goes on."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Static

from ftapp.runs import commands
from ftapp.tui.editor.layer_tree import LayerTree
from ftapp.tui.screens.freeze_layers import FreezeLayers
from ftapp.tui.screens.run import RunScreen
from tests.tui.harness import SIZES, BareApp, start_long_run, until
from tests.tui.structures import bert
from tests.tui.test_run import shown, text


async def opened(pilot: Pilot[None], rules: list[str]) -> tuple[FreezeLayers, list[list[str] | None]]:
    """The dialog over the layers of a small BERT, and where its result comes."""
    results: list[list[str] | None] = []
    dialog = FreezeLayers("head", bert(), rules)
    await pilot.app.push_screen(dialog, results.append)
    await pilot.pause()
    return dialog, results


def changes(dialog: FreezeLayers) -> str:
    return text(dialog.query_one("#changes", Static))


async def test_changes_are_collected_undone_and_sent() -> None:
    async with BareApp().run_test(size=(100, 30)) as pilot:
        dialog, results = await opened(pilot, ["freeze all", "train head"])
        assert changes(dialog) == "No change so far."
        await pilot.press("s")
        assert isinstance(pilot.app.screen, FreezeLayers)
        await pilot.press("+")
        assert changes(dialog) == "From the next step on: train last:1"
        assert "→" in text(dialog.query_one("#share", Static))
        await pilot.press("+")
        assert changes(dialog) == "From the next step on: train last:2"
        await pilot.press("-")
        assert changes(dialog) == "From the next step on: train last:1"
        await pilot.press("h")
        assert changes(dialog) == "From the next step on: train last:1; freeze head"
        await pilot.press("u")
        assert changes(dialog) == "From the next step on: train last:1"
        await pilot.press("-")
        assert changes(dialog) == "No change so far."
        await pilot.press("h")
        assert "No layer trains" in changes(dialog)
        await pilot.press("s")
        assert isinstance(pilot.app.screen, FreezeLayers)
        await pilot.press("b")
        await pilot.press("s")
        await until(pilot, lambda: results == [["freeze head", "train backbone"]])


async def test_escape_changes_nothing() -> None:
    async with BareApp().run_test(size=(100, 30)) as pilot:
        _, results = await opened(pilot, [])
        await pilot.press("b", "escape")
        await until(pilot, lambda: results == [None])


async def test_the_dialog_fits_every_terminal() -> None:
    for size in SIZES:
        async with BareApp().run_test(size=size) as pilot:
            dialog, _ = await opened(pilot, ["freeze all", "train head"])
            await pilot.press("+")
            await pilot.pause()
            tree = dialog.query_one(LayerTree)
            assert tree.size.height >= 3
            for name in ("#share", "#changes", "#keys"):
                region = dialog.query_one(name).region
                assert region.height
                assert region.bottom <= size[1]


async def test_a_layer_thaws_in_a_real_run(image_recipe: str, tmp_path: Path) -> None:
    app = BareApp()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await start_long_run(pilot, image_recipe, tmp_path)
        try:
            before = screen.history.trainable_share
            assert before is not None
            await pilot.press("f")
            await until(pilot, lambda: isinstance(app.screen, FreezeLayers))
            await pilot.press("plus", "s")
            await until(pilot, lambda: bool(screen.history.layer_changes), seconds=60)
            change = screen.history.layer_changes[0]
            assert change.rules == ["train last:1"]
            await until(pilot, lambda: len(screen.history.steps) > change.step + 2, seconds=60)
            after = screen.history.trainable_share
            assert after is not None
            assert after > before
            await until(pilot, lambda: f"from step {change.step + 1}: train last:1" in " ".join(shown_phases(screen)))
        finally:
            commands.send(screen.run, commands.Stop())
            await until(pilot, lambda: not screen.run.alive(), seconds=60)
        assert not screen.history.layer_changes[0].proof.changed


def shown_phases(screen: RunScreen) -> list[str]:
    """The words of the pane of phases."""
    from ftapp.tui.widgets.phases_pane import PhasesPane

    return shown(screen, PhasesPane).split()
