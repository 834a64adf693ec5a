"""The screen of the queue: what it lists, and what its keys do."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from ftapp import recipe as recipes
from ftapp.experiments.options import Options
from ftapp.experiments.prepare_job import prepare_job
from ftapp.experiments.queue import Queue
from ftapp.experiments.queue_entries import Entry
from ftapp.tui.app import FtApp
from ftapp.tui.screens.queue import QueueScreen
from tests.tui.harness import SIZES, Listing, Opened, notes, until


def add(queue: Queue, name: str, repeats: int = 1) -> Entry:
    prepare = partial(prepare_job, recipes.find(name), "quick", (), Options(repeats), command=["ftapp"])
    return queue.add(f"{name} (quick)", prepare)


async def opened(pilot: Pilot[Any], count: int) -> OptionList:
    """The list, once it shows so many entries."""
    await pilot.press("3")
    await until(pilot, lambda: isinstance(pilot.app.screen, QueueScreen))
    options = pilot.app.screen.query_one(OptionList)
    await until(pilot, lambda: options.option_count == count)
    return options


def lines(options: OptionList) -> list[str]:
    return [str(options.get_option_at_index(place).prompt) for place in range(options.option_count)]


def note(app: FtApp) -> str:
    return str(app.screen.query_one("#note", Static).visual)


@pytest.mark.parametrize("size", SIZES)
async def test_waiting_entries_are_moved_and_dropped(size: tuple[int, int]) -> None:
    app = Opened()
    queue = Queue.of(app.runs_dir)
    for name in ("gpt2-full", "bert-full", "vgg16-two-phase"):
        add(queue, name)
    queue.pause()
    async with app.run_test(size=size) as pilot:
        options = await opened(pilot, 3)
        assert lines(options)[0].split() == ["waiting", "gpt2-full", "(quick)"]
        await pilot.press("J")
        await until(pilot, lambda: "gpt2-full" in lines(options)[1])
        assert options.highlighted == 1
        await pilot.press("J")
        await until(pilot, lambda: "gpt2-full" in lines(options)[2])
        await pilot.press("shift+up")
        await until(pilot, lambda: "gpt2-full" in lines(options)[1])
        await pilot.press("d")
        await until(pilot, lambda: options.option_count == 2)
        assert [each.label for each in queue.list_entries()] == ["bert-full (quick)", "vgg16-two-phase (quick)"]
        assert "paused" in note(app)
        await pilot.press("enter")
        assert app.shown == []


async def test_what_has_started_is_opened() -> None:
    app = Opened()
    queue = Queue.of(app.runs_dir)
    add(queue, "gpt2-full")
    add(queue, "bert-full", repeats=2)
    for number in (1, 2):
        assert queue.take() is not None
        queue.end(number, "done")
    async with app.run_test(size=(120, 40)) as pilot:
        options = await opened(pilot, 2)
        options.highlighted = 0
        await pilot.press("enter")
        await until(pilot, lambda: app.shown)
        assert app.shown[0].folder.name == queue.list_entries()[0].job
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.explored)
        await pilot.press("J", "d")  # they have ended
        assert len(queue.list_entries()) == 2


async def test_a_run_whose_queue_is_gone_is_told() -> None:
    app = Opened()
    queue = Queue.of(app.runs_dir)
    add(queue, "gpt2-full")
    assert queue.take() is not None
    async with app.run_test(size=(120, 40)) as pilot:
        options = await opened(pilot, 1)
        assert lines(options)[0].startswith("cut off")
        assert "p continues the queue" in note(app)
        queue.file.write_text("{", encoding="utf-8")
        await until(pilot, lambda: "cannot be read" in note(app))


async def test_recipes_are_added() -> None:
    app = Listing()
    queue = Queue.of(app.runs_dir)
    queue.pause()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "The queue is empty" in note(app))
        await pilot.press("1", "n")
        await until(pilot, queue.list_entries)
        await until(pilot, lambda: "3 shows the queue" in notes(app))
        (entry,) = queue.list_entries()
        assert (entry.label.partition(" ")[0], entry.waits) == ("vgg16-feature-extractor", True)
