"""What tests of the Configure screen share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input, Static

from ftapp.tui.editor.configure import ConfigureScreen
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.editor.layer_tree import LayerTree
from tests.support.recipe_files import HUB_TEXTS
from tests.tui.harness import Opened, paste, until

HUB = f"""{HUB_TEXTS.replace("64", "16")}classes = ["bad", "good"]
[[phase]]
name = "head"
layers = ["freeze all", "train head"]
epochs = 3
[[phase]]
name = "finetune"
layers = ["freeze embeddings", "freeze attention"]
steps = 10
learning_rate = 1e-4
schedule = "cosine"
[profile.small]
data.limit = 100
"""


@asynccontextmanager
async def opened(
    draft: Draft, size: tuple[int, int] = (120, 40), app: Opened | None = None
) -> AsyncIterator[tuple[ConfigureScreen, Pilot[None]]]:
    """The screen, once it shows the draft."""
    app = app or Opened()
    async with app.run_test(size=size) as pilot:
        screen = ConfigureScreen(draft)
        app.push_screen(screen)
        await until(pilot, lambda: screen.form.tables or screen.form.problems)
        await pilot.pause()
        yield screen, pilot


@asynccontextmanager
async def with_layers(
    draft: Draft, size: tuple[int, int] = (120, 40), app: Opened | None = None
) -> AsyncIterator[tuple[ConfigureScreen, Pilot[None]]]:
    """The screen, once the tree has the focus."""
    async with opened(draft, size, app) as (screen, pilot):
        await until(pilot, lambda: isinstance(screen.focused, LayerTree))
        await pilot.pause()
        yield screen, pilot


def line(screen: ConfigureScreen, key: str) -> FieldLine:
    return next(each for each in screen.query(FieldLine) if each.field.key == key)


async def fill(screen: ConfigureScreen, pilot: Pilot[None], key: str, text: str) -> FieldLine:
    """Put a text into a field, in the place of what is there."""
    found = line(screen, key)
    box = found.query_one(Input)
    box.focus()
    box.select_all()
    if text:
        await paste(pilot, text)
    else:
        await pilot.press("delete")
    return found


def typed(text: str) -> list[str]:
    """The keys that type a text."""
    return ["space" if sign == " " else sign for sign in text]


def text_of(widget: Widget) -> str:
    assert isinstance(widget, Static)
    return str(widget.visual)


def wrong(found: FieldLine) -> str | None:
    return found.message


def share(screen: ConfigureScreen) -> str:
    return text_of(screen.query_one("#share"))


async def wait_for_helper(pilot: Pilot[None], holds: Callable[[], object]) -> None:
    """Wait for the helper process, which loads Keras first."""
    for _ in range(1200):
        if holds():
            return
        await pilot.pause(0.1)
    raise AssertionError("it has not come about")
