"""The tree that a file is chosen from, with names of all kinds."""

from __future__ import annotations

import os
from pathlib import Path

from textual.app import App
from textual.widgets import DirectoryTree

from ftapp.tui.dialogs.pick_file import PickFile
from tests.tui.harness import until


async def test_names_that_are_no_text_are_shown_in_escapes_and_not_taken(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in (b"a\n\x1b[31m.png", b"im\xe9.png", b"plain.png", b"._plain.png", b"notes.txt"):
        Path(os.fsdecode(os.fsencode(photos) + b"/" + name)).write_bytes(b"")
    chosen: list[Path | None] = []
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(PickFile("Which image?", photos, (".png",)), chosen.append)
        await until(pilot, lambda: app.screen.query(DirectoryTree))
        tree = app.screen.query_one(DirectoryTree)
        await until(pilot, lambda: len(tree.root.children) == 3)
        names = [str(node.label) for node in tree.root.children]
        assert names == ["a\\n\\x1b[31m.png", "im\\xe9.png", "plain.png"]
        assert "\\xe9" in app.export_screenshot()
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: app._notifications)
        assert isinstance(app.screen, PickFile)
        await pilot.press("down", "enter")
        await until(pilot, lambda: chosen)
        assert chosen == [photos / "plain.png"]
