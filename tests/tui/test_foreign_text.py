"""Text of others is shown as it is on every screen: it cannot steer the terminal, and brackets are no markup."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.segment import ControlType, Segment
from textual.color import Color
from textual.screen import Screen

import ftapp
from ftapp.tui.app import FtApp
from ftapp.tui.screens.compare import CompareScreen
from ftapp.tui.screens.run import RunScreen
from ftapp.tui.screens.runs import RunsScreen
from ftapp.tui.terminal.control_characters import ControlCharacterFilter
from tests.tui.conftest import RECIPE, Write

POISON = "\x1b]0;owned\x07\x1b[31m[bold]x[/y] \x9b2J\u202egnp"
SIZE = (160, 50)


def poison(write_run: Write, status: str | None) -> None:
    run = write_run(status=status, error=POISON, profile=POISON)
    facts = json.loads((run.folder / "environment.json").read_text())
    (run.folder / "environment.json").write_text(json.dumps(facts | {"recipe": POISON}))
    run.log_file.write_text(POISON * 3 + "\n")
    with run.events_file.open("ab") as file:
        for event in (
            {"event": "controlled", "time": 1.7e9, "id": "x", "command": POISON, "applied": False, "reason": POISON},
            {"event": "evaluated", "time": 1.7e9, "split": POISON, "examples": 1, "loss": 1, "seconds": 1},
            {"event": "sampled", "time": 1.7e9, "prompt": POISON, "text": POISON},
            {"event": "noted", "time": 1.7e9, "message": POISON},
        ):
            file.write(json.dumps(event | {"step": 1}).encode() + b"\n")


def lines(app: FtApp) -> str:
    """What goes to the terminal, line by line, without the app's own styles."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip if not segment.control) for strip in strips)


def harmless(shown: str) -> None:
    assert not {char for char in shown if char != "\n" and (ord(char) < 32 or 127 <= ord(char) < 160)}
    assert "\u202e" not in shown


def on(app: FtApp, screen: type[Screen[Any]]) -> bool:
    return type(app.screen) is screen


@pytest.mark.parametrize("status", ["failed", "refused", None])
async def test_runs_show_foreign_text_as_it_is(write_run: Write, status: str | None) -> None:
    poison(write_run, status)
    poison(write_run, status)
    app = FtApp()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await pilot.pause()
        assert on(app, RunsScreen)
        harmless(lines(app))
        assert "[31m[bold]x[/y]" in lines(app)
        await pilot.press("enter")
        await pilot.pause()
        assert on(app, RunScreen)
        harmless(lines(app))
        assert "[31m[bold]x[/y]" in lines(app)
        await pilot.press("escape")
        await pilot.press("space", "down", "space", "c")
        await pilot.pause()
        assert on(app, CompareScreen)
        harmless(lines(app))
        assert "[bold]x[/y]" in lines(app)


async def test_notes_titles_and_tooltips_take_no_markup() -> None:
    app = FtApp()
    async with app.run_test(size=SIZE) as pilot:
        app.notify(POISON, title=POISON)
        app.screen.notify(POISON)
        await pilot.pause()
        harmless(lines(app))
        assert [note.markup for note in app._notifications] == [False, False]


async def test_recipes_with_foreign_names_and_problems_are_shown(tmp_path: Path) -> None:
    recipe = RECIPE.format(seed=0, steps=1, rate=1).replace('"A small run"', json.dumps(POISON))
    Path("[red]a[y]\x1b[2J.toml").write_text(f"{recipe}{json.dumps(POISON)} = 1\n")
    app = FtApp()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("end")
        await pilot.pause()
        harmless(lines(app))
        assert "[red]a[y]" in lines(app)
        await pilot.press("enter")
        await pilot.pause()
        harmless(lines(app))


@pytest.mark.parametrize("text", ["a\x1bb\x07c   │", "\x9b\x9b\x9b", "漢\x1b字", "plain  "])
def test_a_line_stays_as_wide_as_it_was(text: str) -> None:
    given = [Segment(text), Segment("    "), Segment("│")]
    made = ControlCharacterFilter().apply(given, Color(0, 0, 0))
    assert sum(cell_len(each.text) for each in made) == sum(cell_len(each.text) for each in given)
    harmless("".join(each.text for each in made))
    assert made[-1].text == "│"
    picture = [Segment("\x1bPq#0\x1b\\", None, [(ControlType.CURSOR_FORWARD, 0)])]
    assert ControlCharacterFilter().apply(picture, Color(0, 0, 0)) == picture


def test_titles_are_constant_or_content() -> None:
    """A title that is a string is read as markup, so one that is put together is Content."""
    titles = ("border_title", "border_subtitle", "tooltip")
    for path in (Path(ftapp.__file__).parent / "tui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Assign) and getattr(node.targets[0], "attr", "") in titles):
                continue
            is_content = isinstance(node.value, ast.Call) and "Content" in ast.unparse(node.value.func)
            quotes = any(isinstance(each, ast.JoinedStr) for each in ast.walk(node.value))
            assert is_content or not quotes, f"{path.name}:{node.lineno}"
