"""The actions on a run: in the menu, in the command palette, and from the screen of the run."""

from __future__ import annotations

from textual.command import CommandList
from textual.widgets import OptionList, Static, TextArea

from ftapp.experiments import trash
from ftapp.runs import annotation
from ftapp.runs.annotation import Annotations
from ftapp.tui.actions.run_actions import RUN_ACTIONS
from ftapp.tui.app import FtApp
from ftapp.tui.dialogs.annotate_form import AnnotateForm
from ftapp.tui.dialogs.choose_action import ChooseAction
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.screens.run import RunScreen
from ftapp.tui.screens.runs import RunsScreen
from ftapp.tui.widgets.headline import Headline
from ftapp.tui.widgets.search_line import SearchLine
from tests.tui.conftest import Write
from tests.tui.harness import BareApp, Opened, listed, living, notes, until


def menu(app: FtApp) -> dict[str | None, bool]:
    """The names of the actions in the open menu, each with whether it is possible."""
    options = app.screen.query_one(OptionList).options
    return {option.id: not option.disabled for option in options}


async def test_the_menu_tells_which_actions_are_possible_and_does_one_by_its_key(write_run: Write) -> None:
    run = write_run(status="interrupted")
    app = Opened()
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 1)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ChooseAction))
        possible = menu(app)
        assert list(possible) == list(RUN_ACTIONS)
        assert {name for name, can in possible.items() if not can} >= {"try_model", "stop"}
        assert possible["report"]  # it is made
        await pilot.press("x")
        assert "has ended" in notes(app)
        await pilot.press("enter")  # the first one opens the run
        assert app.shown == [run]


async def test_a_run_is_deleted_from_its_screen_which_closes(write_run: Write) -> None:
    run, app = write_run(status="interrupted"), BareApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and "g" in app.screen.active_bindings)
        await pilot.press("a", "d")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        await pilot.press("left", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert [each.place for each in trash.list_deleted(app.runs_dir)] == [run.folder]


async def test_a_running_run_is_stopped_from_the_list(write_run: Write) -> None:
    run, app = write_run(status=None), BareApp()
    with living(run):
        async with app.run_test(size=(120, 40)) as pilot:
            await listed(pilot, 1)
            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, Dialog))
            await pilot.press("left", "enter")
            await until(pilot, lambda: '"stop"' in run.control_file.read_text())


async def test_the_palette_offers_actions_that_have_no_key_on_the_screen(write_run: Write) -> None:
    write_run()
    app = BareApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and "g" in app.screen.active_bindings)
        await pilot.press("ctrl+p", *"folder")
        await until(pilot, lambda: app.screen.query_one(CommandList).option_count)
        assert str(app.screen.query_one(CommandList).get_option_at_index(0).prompt).startswith("Folder")


async def test_tags_and_a_note_are_written_and_found_by_a_filter(write_run: Write) -> None:
    run, other = write_run("a", age=10, accuracy=0.6), write_run("b", age=20, accuracy=0.9)
    app = BareApp()
    async with app.run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 2)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, AnnotateForm) and app.screen.query("#tags"))
        await pilot.press(*"night two,", "ctrl+s")
        await until(pilot, lambda: annotation.load(run.folder).tags == ("night", "two"))
        await until(pilot, lambda: "tags" in table.columns)
        await pilot.press("space", "space", "n")  # both runs
        await until(pilot, lambda: isinstance(app.screen, AnnotateForm) and app.screen.query("#tags"))
        assert not app.screen.query(TextArea)
        await pilot.press(*"-x", "enter")
        assert "is not a tag" in str(app.screen.query_one("#wrong", Static).visual)
        await pilot.press("backspace", "backspace", *"seen", "enter")
        await until(pilot, lambda: annotation.load(other.folder).tags == ("seen",))
        assert annotation.load(run.folder).tags == ("night", "two", "seen")
        await pilot.press("slash", *"tag=night")
        await until(pilot, lambda: [row.recipe for row in table.rows] == ["a"])
        app.screen.query_one(SearchLine).value = "accuracy>0.7"
        await until(pilot, lambda: [row.recipe for row in table.rows] == ["b"])
        app.screen.query_one(SearchLine).value = "acuracy>0.7"
        await until(pilot, lambda: "did you mean 'accuracy'?" in str(app.screen.query_one("#note", Static).visual))
        assert [row.recipe for row in table.rows] == ["b"]


async def test_a_note_that_cannot_be_written_is_offered_again(write_run: Write) -> None:
    run, app = write_run(), BareApp()
    taken = run.folder / "annotations.json"
    taken.mkdir()
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 1)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, AnnotateForm) and app.screen.query("#note"))
        first = app.screen
        await pilot.press(*"night", "tab", *"typed", "ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, AnnotateForm) and app.screen is not first)
        assert "annotations.json cannot be written" in notes(app)
        await until(pilot, lambda: app.screen.query("#note"))
        taken.rmdir()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: annotation.load(run.folder) == Annotations(tags=("night",), note="typed"))


async def test_the_note_of_a_live_run_is_changed_on_its_screen(write_run: Write) -> None:
    run, app = write_run(status=None), BareApp()
    with living(run):
        async with app.run_test(size=(120, 40)) as pilot:
            app.open_run(run)
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and "space" in app.screen.active_bindings)
            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, AnnotateForm) and app.screen.query("#tags"))
            await pilot.press(*"night", "tab", *"so far", "ctrl+s")
            await until(pilot, lambda: annotation.load(run.folder) == Annotations(tags=("night",), note="so far"))
            await until(pilot, lambda: "#night" in str(app.screen.query_one(Headline).visual))
