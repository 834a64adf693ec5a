"""What all pages share: pictures make room for dialogs, panes show the focus, and styles follow theme and size."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image
from textual.color import Color
from textual.containers import Vertical
from textual.screen import UPDATE_PERIOD
from textual.widget import Widget
from textual.widgets import Button, Input

from ftapp.tui.app import FtApp
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.page import Page
from ftapp.tui.terminal import graphics
from ftapp.tui.widgets.picture import Picture
from ftapp.tui.widgets.pictures import Pictures


class Shown(Page):
    """A page with pictures of both kinds."""

    def body(self) -> Iterable[Widget]:
        yield Picture()
        yield Pictures()


@pytest.mark.parametrize("in_cells", [False, True])
@pytest.mark.parametrize("over", ["dialog", "palette"])
async def test_pictures_of_the_terminal_are_hidden_while_something_lies_over_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_cells: bool, over: str
) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (8, 8), "red").save(file)
    monkeypatch.setattr(graphics, "draws_in_cells", lambda app: in_cells)
    app = FtApp()
    async with app.run_test(size=(100, 30)) as pilot:
        page = Shown()
        await app.push_screen(page)
        await page.query_one(Picture).show(file)
        await page.query_one(Pictures).show([[(str(file), "a")]], 8)
        await pilot.pause()
        shown = [page.query_one(Picture).children[0], page.query_one(Pictures).query(".picture").first()]
        assert all(widget.visible for widget in shown)
        if over == "dialog":
            app.push_screen(Dialog("Leave?", "It would be lost.", ["Leave", "Stay"]))
        else:
            app.action_command_palette()
        await pilot.pause()
        assert [widget.visible for widget in shown] == [in_cells] * 2
        await pilot.press("escape")
        await pilot.pause()
        assert all(widget.visible for widget in shown)


class Boxes(Page):
    """A page with two panes. It keeps the classes that it had when its widgets were made."""

    def body(self) -> Iterable[Widget]:
        self.early = self.classes
        yield Vertical(Input(id="a"), Button("Go", id="b"), classes="pane", id="one")
        yield Vertical(Vertical(Input(id="c")), classes="pane", id="two")


async def test_the_pane_around_the_focus_alone_has_a_bright_edge() -> None:
    app = FtApp()
    async with app.run_test(size=(100, 30)) as pilot:
        page = Boxes()
        await app.push_screen(page)

        def edges() -> dict[str | None, Color]:
            return {pane.id: pane.styles.border_top[1] for pane in page.query(".pane")}

        page.set_focus(None)
        await pilot.pause()
        faint = edges()["one"]
        assert edges() == {"one": faint, "two": faint}
        for field, pane in [("a", "one"), ("b", "one"), ("c", "two"), ("a", "one")]:
            page.query_one(f"#{field}").focus()
            await pilot.pause()
            assert [name for name, color in edges().items() if color != faint] == [pane]
        await page.query_one("#a").remove()
        await pilot.pause()
        inside = [pane.id for pane in page.query(".pane") if pane.has_focus_within]
        assert [name for name, color in edges().items() if color != faint] == inside


async def test_a_page_that_was_away_has_the_colours_of_a_theme_chosen_meanwhile() -> None:
    app = FtApp()
    async with app.run_test(size=(100, 30)) as pilot:
        page = Boxes()
        app.install_screen(page, "kept")
        await app.push_screen("kept")
        await pilot.pause()
        dark = page.query_one("#one").styles.background
        await app.pop_screen()
        app.theme = "ftapp-light" if app.theme == "ftapp-dark" else "ftapp-dark"
        await pilot.pause()
        app.push_screen("kept")
        await pilot.pause()
        assert page.query_one("#one").styles.background != dark
        assert page.query_one("#one").styles.background == Color.parse(app.theme_variables["background"])


async def test_widgets_of_a_page_are_made_for_the_size_of_the_terminal() -> None:
    app = FtApp()
    async with app.run_test(size=(120, 20)) as pilot:
        page = Boxes()
        await app.push_screen(page)
        await pilot.pause()
        assert page.early == page.classes == {"-medium", "-short"}
        await pilot.resize_terminal(60, 40)
        await pilot.pause()
        assert page.classes == {"-narrow", "-tall"}


async def test_a_pilot_rests_once_the_app_has_been_left() -> None:
    app, loop = FtApp(), cast(Any, asyncio.get_running_loop())
    async with app.run_test(size=(100, 30)) as pilot:
        app.screen.set_interval(UPDATE_PERIOD, app.screen.refresh)  # like the timer of frames that are due
        app.exit()
        await pilot.pause()
        soon = loop.time() + UPDATE_PERIOD
        assert not [each for each in loop._scheduled if each.when() <= soon and not each.cancelled()]
