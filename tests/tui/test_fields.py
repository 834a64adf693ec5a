"""Lines of text that are longer than their box, and where the focus is: what one types is seen, and goes where it looks
to go.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.events import Paste
from textual.widgets import Input

from ftapp.tui.app import FtApp
from ftapp.tui.dialogs.ask import Ask
from ftapp.tui.editor.draft import Draft
from ftapp.tui.widgets.dropdown import Dropdown
from ftapp.tui.widgets.search_line import SearchLine
from ftapp.tui.widgets.text_line import TextLine, shorten
from tests.tui.configuring import HUB, line, opened
from tests.tui.harness import SIZES, Opened, drawn, until

PATH = "folder:/home/me/projects/2026/plankton/" + "photos-of-the-north-sea/" * 6 + "train"


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    file = tmp_path / "hub.toml"
    summary = "A summary that begins here and " + "goes on " * 30 + "ends here"
    file.write_text(HUB.replace('summary = "s"', f'summary = "{summary}"'), encoding="utf-8")
    return Draft(file).with_change("data.source", PATH)


@pytest.mark.parametrize(
    ("text", "width", "is_path", "seen"),
    [
        ("folder:photos", 20, True, "folder:photos"),
        ("folder:/home/me/photos/train", 20, True, "folder:…photos/train"),
        ("pypi://a-long-name.whl/models/vgg16.onnx", 24, True, "pypi://…odels/vgg16.onnx"),
        ("pypi://a-long-name.whl/models/vgg16.onnx#sha256=64b5", 24, True, "pypi://…odels/vgg16.onnx"),
        ("pypi://a.whl/model#sha256=64b5", 24, True, "pypi://a.whl/model…"),
        ("/home/me/photos/train", 10, True, "…tos/train"),
        ("folder:/home/me/train", 8, True, "…e/train"),
        ("Two words and more", 10, False, "Two words…"),
        ("folder:日本語の/写真", 16, True, "folder:…の/写真"),
        ("写真の要約", 6, False, "写真…"),
    ],
)
def test_what_matters_of_a_long_text_stays(text: str, width: int, is_path: bool, seen: str) -> None:
    assert shorten(text, width, is_path=is_path) == seen
    assert cell_len(seen) <= width


@pytest.mark.parametrize("sizes", [SIZES[:2], SIZES[2:]])
async def test_a_value_longer_than_its_box_is_seen_at_each_size(draft: Draft, sizes: list[tuple[int, int]]) -> None:
    async with opened(draft, sizes[0]) as (screen, pilot):
        for size in sizes:
            await pilot.resize_terminal(*size)
            await pilot.press("f4", "tab")  # from the source to the next field
            line(screen, "data.source").scroll_visible(animate=False)
            await pilot.pause()
            row = next(row for row in drawn(screen) if "folder:…" in row)
            assert "source" in row
            assert "north-sea/train " in row
            await pilot.press("shift+tab", "end", *"/new")
            await pilot.pause()
            assert any("sea/train/new " in row for row in drawn(screen))
            await pilot.press("home")
            await pilot.pause()
            assert any("source" in row and "folder:/home/me" in row for row in drawn(screen))
            summary = line(screen, "summary")
            summary.scroll_visible(animate=False)
            await pilot.press("f3")
            summary.scroll_visible(animate=False)
            await pilot.pause()
            assert any("summary" in row and "A summary" in row and "…" in row for row in drawn(screen))
            screen.take(draft)


async def test_a_control_character_is_shown_as_its_symbol() -> None:
    class Lines(App[None]):
        def compose(self) -> ComposeResult:
            yield TextLine("one\ntwo\x1b[31m\tthree")
            yield TextLine("x")

    app = Lines()
    async with app.run_test(size=(40, 5)) as pilot:
        await pilot.pause()
        for _ in range(2):  # with the focus and without it
            assert drawn(app.screen)[0].rstrip() == "one␊two␛[31m␉three"
            await pilot.press("tab")
            await pilot.pause()


async def test_dialogs_and_searches_show_the_end_of_what_is_typed() -> None:
    app = FtApp()
    async with app.run_test(size=SIZES[0]) as pilot:
        await until(pilot, lambda: app.screen.query(SearchLine))
        for size in SIZES:
            await pilot.resize_terminal(*size)
            app.push_screen(Ask("Save as", f"/{PATH}/mine.toml", lambda _: None))
            await until(pilot, lambda: isinstance(app.screen, Ask))
            await pilot.pause()
            assert any("train/mine.toml" in row for row in drawn(app.screen))
            await pilot.press("escape", "slash")
            app.post_message(Paste("ab" * (size[0] // 2 - 1)))  # each key that is typed takes its time
            await pilot.press(*"abz")
            await pilot.pause()
            assert any("babz" in row for row in drawn(app.screen))
            await pilot.press("ctrl+u", "escape")


# The focus


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_each_function_key_goes_to_a_field_from_wherever_it_is_pressed(
    draft: Draft, size: tuple[int, int]
) -> None:
    app = Opened()
    async with opened(draft, size, app) as (screen, pilot):
        panes = {"f3": "training", "f4": "data", "f5": "augment", "f2": "layers"}
        keys = ["f3", "f3", "f4", "f3", "f5", "f3", "f2", "f4", "f4", "f5", "f4", "f2", "f5", "f5", "f2", "f2", "f3"]
        assert len(set(pairwise(keys))) == len(panes) ** 2  # each follows each
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            assert screen.focused is not None
            assert screen.query_one(f"#panes > #{panes[key]}") in screen.focused.ancestors
            assert screen.focused.region.area
        # Keys that come faster than frames are typed into the field too.
        for first, key in [("f4", "phase.name"), ("f3", "data.source")]:
            other = {"phase.name": "f3", "data.source": "f4"}[key]
            await pilot.press(first, other, other, *"qvt2")
            await pilot.pause()
            assert app.screen is screen
            assert line(screen, key).query_one(Input).value.endswith("qvt2")


async def test_the_focus_is_never_nowhere(draft: Draft) -> None:
    async with opened(draft, (80, 24)) as (screen, pilot):
        assert screen.focused is not None
        await pilot.press("f4")
        screen.set_focus(None)
        await pilot.pause()
        await pilot.press(*"q1")
        assert pilot.app.screen is screen
        assert line(screen, "data.source").query_one(Input).value.endswith("q1")
        await pilot.resize_terminal(200, 60)
        await pilot.pause()
        assert screen.focused is not None
        screen.query_one("#tabs").display = False
        await pilot.pause()
        assert screen.focused is not None


async def test_a_digit_in_a_choice_of_numbers_is_its_value(draft: Draft) -> None:
    async with opened(draft, (120, 40)) as (screen, pilot):
        line(screen, "experiment.repeats").query_one(Dropdown).focus()
        await pilot.press("2")
        await pilot.pause()
        assert pilot.app.screen is screen
        assert screen.form.draft.options.repeats == 2
