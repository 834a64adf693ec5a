"""The runs' screen: what it lists, sorts and filters, and what each key does."""

from __future__ import annotations

import fcntl
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandList
from textual.widgets import Button, Input, Static

from ftapp.experiments import trash
from ftapp.recipe.user_settings import find_settings_file
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import RunEnded
from ftapp.runs.phase_events import Stepped
from ftapp.tui import desktop
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.screens.runs import RunsScreen
from ftapp.tui.widgets.run_table import RunTable
from tests.tui.conftest import Write
from tests.tui.harness import SIZES, Opened, listed, living, notes, until


def names(table: RunTable) -> list[str]:
    return [summary.recipe for summary in table.rows]


def drawn(table: RunTable) -> str:
    return "\n".join(table.render_line(y).text for y in range(table.size.height))


async def test_runs_are_listed_newest_first_with_their_results(write_run: Write) -> None:
    write_run("older", profile="quick", age=7200, steps=75, accuracy=0.985, loss=0.05)
    write_run("newer", status="failed", age=60, error="no such file")
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 2)
        assert names(table) == ["newer", "older"]
        rows = drawn(table).splitlines()
        for part in ("done", "older", "quick", "1 min 15 s", "75", "0.0500", "98.5%", "25.0%"):
            assert part in rows[2]
        assert "failed" in rows[1]
        assert "no such file" in str(app.screen.query_one("#note", Static).visual)


async def test_marks_and_the_filter_stay_while_the_queue_is_looked_at(write_run: Write) -> None:
    for name in ("first", "second"):
        write_run(name)
    async with Opened().run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 2)
        await pilot.press("space", "slash", *"second", "enter")
        await until(pilot, lambda: len(table.rows) == 1)
        await pilot.press("3", "2")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))
        assert (len(table.marked), len(table.rows)) == (1, 1)
        write_run("second again")
        await until(pilot, lambda: len(table.rows) == 2)


async def test_no_runs_yet() -> None:
    async with Opened().run_test() as pilot:
        table = await listed(pilot, 0)
        await until(pilot, lambda: "no runs yet" in drawn(table))
        await pilot.press("enter", "space", "c", "t", "d", "o", "e", "s", "S", "down", "end")


async def test_a_live_run_moves_and_ends(write_run: Write) -> None:
    run = write_run("live", status=None, steps=2, total=10, age=5)
    app = Opened()
    with run.lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        async with app.run_test(size=(120, 40)) as pilot:
            table = await listed(pilot, 1)
            assert "running 20%" in drawn(table)
            log = EventLog(run.events_file)
            log.write(Stepped(time=time.time(), step=5, epoch=1, loss=0.1, rate=1.0, seconds=1.0, memory=1))
            await until(pilot, lambda: "running 50%" in drawn(table))
            await pilot.press("d")
            assert not isinstance(app.screen, Dialog)
            assert "cannot be deleted" in notes(app)
            log.write(RunEnded(time=time.time(), status="done", steps=5, seconds=5.0))
            await until(pilot, lambda: "done" in drawn(table))


async def test_new_runs_come_and_the_cursor_stays_on_its_run(write_run: Write) -> None:
    write_run("first")
    async with Opened().run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 1)
        write_run("second", age=1, seed=1)
        await until(pilot, lambda: len(table.rows) == 2)
        assert names(table) == ["second", "first"]
        assert table.current
        assert table.current.recipe == "first"


async def test_enter_opens_the_run_under_the_cursor(write_run: Write) -> None:
    write_run("a", age=10)
    second = write_run("b", age=20)
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 2)
        await pilot.press("down", "enter")
        assert app.shown == [second]


async def test_rows_are_chosen_and_opened_with_the_mouse(write_run: Write) -> None:
    write_run("a", age=10)
    second = write_run("b", age=20)
    app: Any = Opened()
    app.CLICK_CHAIN_TIME_THRESHOLD = 60.0  # seconds between the clicks of a double one
    async with app.run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 2)
        await pilot.click(table, offset=(20, 2))
        assert table.cursor == 1
        await pilot.click(table, offset=(20, 2), times=2)
        assert app.shown == [second]
        await pilot.click(table, offset=(20, 20))
        assert table.cursor == 1


async def test_typing_filters_and_escape_clears(write_run: Write) -> None:
    write_run("bert-full", profile="quick", age=10)
    write_run("bert-full", age=20, status="failed")
    write_run("gpt2-full", age=30)
    async with Opened().run_test() as pilot:
        table = await listed(pilot, 3)
        await pilot.press("slash", *"bert-full done")
        assert [(row.recipe, row.profile) for row in table.rows] == [("bert-full", "quick")]
        await pilot.press(*"x")
        assert "Nothing matches" in drawn(table)
        await pilot.press("escape")
        assert len(table.rows) == 3
        assert pilot.app.focused is table
        await pilot.press("slash", *"standard", "enter")
        assert pilot.app.focused is table
        assert len(table.rows) == 2


async def test_the_cursor_goes_to_the_run_that_is_named(write_run: Write) -> None:
    for name, age in (("bert-full-steadied", 10), ("bert-full", 20), ("vgg16", 30)):
        write_run(name, age=age)
    async with Opened().run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 3)
        await pilot.press("slash", *"bert-full", "enter")
        assert names(table) == ["bert-full-steadied", "bert-full"]
        assert table.current
        assert table.current.recipe == "bert-full"
        await pilot.press("slash", "escape")
        assert table.current.recipe == "bert-full"
        await pilot.press("slash", *"vgg16 done")
        assert table.current.recipe == "vgg16"


async def test_the_palette_offers_first_the_command_that_is_named() -> None:
    async with Opened().run_test(size=(120, 40)) as pilot:
        await listed(pilot, 0)
        for query, first in (("run", "Runs"), ("trash", "Empty the trash"), ("the", "Theme"), ("hlp", "Help")):
            await pilot.press("ctrl+p", *query)
            found = pilot.app.screen.query_one(CommandList)
            await until(pilot, lambda: pilot.app.screen.query_one(CommandList).option_count)
            assert str(found.get_option_at_index(0).prompt).startswith(first)
            await pilot.press("escape", "escape")


async def test_sorting_by_keys_and_by_the_head(write_run: Write) -> None:
    for name, accuracy, age in (("b", 0.5, 10), ("a", 0.9, 20), ("c", 0.7, 30)):
        write_run(name, accuracy=accuracy, age=age)
    async with Opened().run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 3)
        assert names(table) == ["b", "a", "c"]
        await pilot.press("S")
        assert names(table) == ["c", "a", "b"]
        while table.sorted_by[0] != "recipe":
            await pilot.press("s")
        assert names(table) == ["a", "b", "c"]
        place = drawn(table).splitlines()[0].index("accuracy")
        await pilot.click(table, offset=(place + 2, 0))
        assert names(table) == ["a", "c", "b"]
        await pilot.click(table, offset=(place + 2, 0))
        assert names(table) == ["b", "c", "a"]


async def test_marked_runs_are_compared_and_two_are_needed(write_run: Write) -> None:
    new, old = write_run("new", age=10), write_run("old", age=20)
    app = Opened()
    async with app.run_test() as pilot:
        table = await listed(pilot, 2)
        await pilot.press("c")
        assert "No run is marked. Comparing needs two runs or more" in notes(app)
        await pilot.press("space", "c")
        assert "One run is marked" in notes(app)
        await pilot.press("space", "c")
        assert app.compared == [[old, new]]
        assert "2 marked" in str(app.screen.query_one("#list").border_subtitle)
        await pilot.press("escape")
        assert not table.marked


async def test_a_model_is_tried_where_there_is_one(write_run: Write) -> None:
    run = write_run("small", status="interrupted")
    app = Opened()
    async with app.run_test() as pilot:
        await listed(pilot, 1)
        await pilot.press("t")
        assert "has no saved model" in notes(app)
        run.model_folder.mkdir()
        (run.model_folder / "ftapp.json").write_text("{}")
        await pilot.press("t")
        assert app.tried == [run]


async def test_deleting_asks_first(write_run: Write) -> None:
    run, other = write_run("a", age=10), write_run("b", age=20)
    app = Opened()
    async with app.run_test() as pilot:
        table = await listed(pilot, 2)
        await pilot.press("d")
        assert isinstance(app.screen, Dialog)
        await pilot.press("escape")
        assert run.folder.is_dir()
        await pilot.press("d", "enter")
        assert app.screen.query(RunTable)
        assert run.folder.is_dir()
        await pilot.press("d", "left", "enter")
        await until(pilot, lambda: not run.folder.exists())
        await until(pilot, lambda: names(table) == ["b"])
        assert other.folder.is_dir()


async def test_what_was_deleted_comes_back_the_last_first(write_run: Write) -> None:
    runs = [write_run(name, age=age) for name, age in (("a", 10), ("b", 20), ("c", 30))]
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 3)
        await pilot.press("u")  # nothing was deleted
        await pilot.press("d", "left", "enter")
        await until(pilot, lambda: names(table) == ["b", "c"])
        await pilot.press("space", "space", "d", "left", "enter")
        await until(pilot, lambda: names(table) == [])
        assert "KiB stay on the disk" in notes(app)
        await pilot.press("1")
        table = await listed(pilot, 0)
        await pilot.press("u")
        await until(pilot, lambda: names(table) == ["b", "c"])
        await pilot.press("ctrl+z")
        await until(pilot, lambda: names(table) == ["a", "b", "c"])
        assert all(run.events_file.is_file() for run in runs)
        assert "u" not in app.screen.active_bindings or not app.screen.active_bindings["u"].enabled


async def test_the_trash_is_emptied_after_a_question(write_run: Write) -> None:
    run = write_run("a")
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 1)
        await pilot.press("d", "left", "enter")
        await until(pilot, lambda: names(table) == [])
        app.empty_trash()
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        await pilot.press("enter")
        assert trash.list_deleted(run.folder.parent)
        app.empty_trash()
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        await pilot.press("left", "enter")
        await until(pilot, lambda: not trash.list_deleted(run.folder.parent))
        app.empty_trash()
        await until(pilot, lambda: "The trash is empty" in notes(app))


@pytest.mark.parametrize("answers", [["Leave", "Stay"], ["Delete all", "Keep the runs", "Cancel"]])
async def test_enter_and_escape_take_the_answer_by_which_nothing_is_lost(answers: list[str]) -> None:
    app = Opened()
    given: list[str | None] = []
    async with app.run_test() as pilot:
        for key in ("enter", "escape"):
            app.push_screen(Dialog("Leave?", "It would be lost.", answers), given.append)
            await pilot.press(key)
        assert given == [answers[-1]] * 2


async def test_all_marked_runs_are_deleted_at_once(write_run: Write) -> None:
    runs = [write_run(name, age=age) for name, age in (("a", 10), ("b", 20), ("c", 30))]
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 3)
        await pilot.press("space", "space", "d")
        assert isinstance(app.screen, Dialog)
        await pilot.click(app.screen.query(Button).first())
        await until(pilot, lambda: names(table) == ["c"])
        assert [run.folder.exists() for run in runs] == [False, False, True]


async def test_a_run_that_somebody_else_has_deleted_is_gone_without_a_complaint(write_run: Write) -> None:
    run = write_run("a", age=10)
    write_run("b", age=20)
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 2)
        await pilot.press("d")
        shutil.rmtree(run.folder)
        await pilot.press("left", "enter")
        await until(pilot, lambda: names(table) == ["b"])
        assert not notes(app)


async def test_folder_and_report_without_a_desktop_are_copied(
    write_run: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop, "open_path", lambda path: False)
    run = write_run()
    app = Opened()
    async with app.run_test() as pilot:
        await listed(pilot, 1)
        await pilot.press("o")
        assert app.clipboard == str(run.folder)
        await pilot.press("e")
        await until(pilot, lambda: app.clipboard == str(run.folder / "report.html"))
        assert "<html" in (run.folder / "report.html").read_text("utf-8")


async def test_folder_and_report_open_on_a_desktop(write_run: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def open_path(path: Path) -> bool:
        opened.append(path)
        return True

    monkeypatch.setattr(desktop, "open_path", open_path)
    run = write_run()
    async with Opened().run_test() as pilot:
        await listed(pilot, 1)
        await pilot.press("o")
        assert opened == [run.folder]


async def test_damaged_folders_have_a_row(write_run: Write) -> None:
    run = write_run("a")
    run.recipe_file.unlink()
    run.events_file.write_bytes(b"\x00\xff" * 500)
    app = Opened()
    async with app.run_test() as pilot:
        table = await listed(pilot, 1)
        assert "damaged" in drawn(table)
        await pilot.press("enter")
        shutil.rmtree(run.folder)
        await until(pilot, lambda: not table.rows)


async def test_the_cursor_keys(write_run: Write) -> None:
    for age in range(60):
        write_run(f"r{age:02}", age=age * 100 + 1)  # of one length: below the list stands the folder's path
    async with Opened().run_test(size=(80, 24)) as pilot:
        table = await listed(pilot, 60)
        for key, place in (("end", 59), ("down", 59), ("home", 0), ("up", 0)):
            await pilot.press(key)
            assert table.cursor == place, key
        page = table.size.height - 1  # the head; how high the table is depends on the length of the folder's path
        assert page >= 10
        await pilot.press("pagedown")
        assert table.cursor == page
        await pilot.press("pageup")
        assert table.cursor == 0
        await pilot.press("end")
        assert "r59" in drawn(table)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_recipe_and_loss_are_seen_at_every_size(size: tuple[int, int], write_run: Write) -> None:
    write_run("gpt2-full", loss=3.2109)
    async with Opened().run_test(size=size) as pilot:
        table = await listed(pilot, 1)
        assert "gpt2-full" in drawn(table)
        assert "3.2109" in drawn(table)
        await pilot.press("slash", "z")
        assert pilot.app.screen.query_one(Input).value == "z"


@pytest.mark.parametrize("after", [0, 3600])
async def test_the_bell_rings_at_the_end_of_a_run(
    write_run: Write, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_settings_file().parent.mkdir(parents=True, exist_ok=True)
    find_settings_file().write_text(f"[notify]\nbell = true\nafter = {after}.0\n", encoding="utf-8")
    run = write_run("live", status=None, steps=2, total=10, age=5)
    app = Opened()
    rung: list[None] = []
    monkeypatch.setattr(app, "bell", lambda: rung.append(None))
    async with app.run_test(size=(120, 40)) as pilot:
        with living(run):
            await until(pilot, lambda: app.live_runs == 1)
        EventLog(run.events_file).write(RunEnded(time=time.time(), status="done", steps=2, seconds=20))
        await until(pilot, lambda: app.live_runs == 0)
        await pilot.pause(0.3)
    assert len(rung) == (after == 0)
