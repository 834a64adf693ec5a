"""What all pages share: pictures that the terminal draws itself make room for dialogs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image
from textual.widget import Widget

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
