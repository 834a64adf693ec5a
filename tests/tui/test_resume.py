"""Resuming a run from its screen and from the list of runs."""

from __future__ import annotations

import time

from textual.widgets import Input, Static

from ftapp.common.cache_folders import write_manifest
from ftapp.runs.checkpoints import name_checkpoint
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_types import Status
from ftapp.runs.events import Noted, Resumed, RunEnded, StateSaved
from ftapp.runs.phase_events import Stepped
from ftapp.runs.rewind import rewind_log
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.actions.resume import await_refused_resume
from ftapp.tui.dialogs.ask import Ask
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.screens.run import RunScreen
from ftapp.tui.widgets.chart import Chart
from ftapp.tui.widgets.headline import Headline
from ftapp.tui.widgets.log_pane import LogPane
from ftapp.tui.widgets.phases_pane import PhasesPane
from tests.conftest import Do
from tests.support.checkpoints import cut_back
from tests.tui.conftest import Write
from tests.tui.harness import BareApp, Opened, listed, living, notes, until
from tests.tui.test_run import opened, text


def find_offset(run: RunFolder, step: int) -> int:
    """Find where the log of a run ends for the state after so many steps, in bytes."""
    lines = run.events_file.read_bytes().splitlines(keepends=True)
    last = next(index for index, line in enumerate(lines) if b'"step"' in line and f'"step":{step},'.encode() in line)
    return sum(map(len, lines[: last + 1]))


def log_lines(screen: RunScreen) -> list[str]:
    return [strip.text.strip() for strip in screen.query_one(LogPane).lines]


async def test_a_crashed_run_is_resumed_from_the_list_and_lengthened_on_its_screen(do: Do, image_recipe: str) -> None:
    _, whole, run = do(image_recipe, "checkpoint.every_steps=1", "checkpoint.keep=1000")
    total = len(whole.steps)
    crashed = cut_back(run, 5)
    assert crashed.status() == "crashed"
    app = BareApp()
    async with app.run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 2)
        while table.current is None or table.current.run != crashed:
            await pilot.press("down" if table.cursor == 0 else "up")
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, RunScreen), seconds=60)
        assert "The run continues after step 5." in notes(app)
        screen = app.screen
        assert isinstance(screen, RunScreen)
        headline = screen.query_one(Headline)
        await until(pilot, lambda: "done" in text(headline), seconds=120)
        assert screen.history.saved
        assert whole.saved
        assert screen.history.saved.weights == whole.saved.weights
        assert any("the run goes on after step 5" in line for line in log_lines(screen))
        await until(pilot, lambda: not crashed.alive(), seconds=60)

        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        app.screen.query_one(Input).value = "none"
        await pilot.press("enter")
        assert "'none' is not a number of steps" in text(app.screen.query_one("#wrong", Static))
        app.screen.query_one(Input).value = "3"
        await pilot.press("enter")
        await until(pilot, lambda: len(screen.history.steps) == total + 3, seconds=120)
        await until(pilot, lambda: f"{total + 3} steps in" in text(headline), seconds=60)
        assert [event.step for event in screen.history.resumed] == [5, total]
        await until(pilot, lambda: not crashed.alive(), seconds=60)


async def test_the_screen_begins_anew_where_the_log_is_cut(write_run: Write) -> None:
    run = write_run(status="interrupted", steps=10, total=12)
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        headline, loss = screen.query_one(Headline), screen.query_one("#loss", Chart)
        await until(pilot, lambda: "interrupted" in text(headline) and len(loss.curves[0].x) == 10)
        with living(run):
            rewind_log(run, find_offset(run, 6))
            screen.follow()
            await until(pilot, lambda: "running" in text(headline) and len(loss.curves[0].x) == 6)
            log = EventLog(run.events_file)
            log.write(Resumed(time=time.time(), step=6, folder="checkpoints/x", phase_steps=15))
            for step in range(7, 11):  # as many as before: only the history is another
                log.write(Stepped(time=time.time(), step=step, epoch=1, loss=9.0, rate=0.1, seconds=0.1, memory=1))
            log.write(StateSaved(time=time.time(), folder="checkpoints/y", step=10, seconds=0.1, size=1))
            await until(pilot, lambda: "step 10 of 15" in text(headline))
            assert list(loss.curves[0].y[-4:]) == [9.0] * 4
            assert loss._marks == [7]
            assert [line.split(" ", 1)[1] for line in log_lines(screen)][-1] == "the run goes on after step 6"
            assert "checkpoint after step 10, just now" in str(screen.query_one(PhasesPane).border_subtitle)
            log.write(RunEnded(time=time.time(), status="done", steps=10, seconds=4.0))
            await until(pilot, lambda: "done" in text(headline))
        await until(pilot, lambda: str(screen.query_one(PhasesPane).border_subtitle) == "checkpoint after step 10")


async def test_a_run_that_would_begin_again_asks_first(write_run: Write) -> None:
    run = write_run(status="interrupted", steps=10)
    before = run.events_file.read_bytes()
    app = BareApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, run)
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        assert text(app.screen.query_one("#dialog-title", Static)) == "Make 10 steps again?"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert not run.alive()
    assert run.events_file.read_bytes() == before


async def test_differences_are_shown_before_a_run_goes_on_inexactly(write_run: Write) -> None:
    run = write_run(status="interrupted", steps=10)
    folder = run.checkpoints_folder / name_checkpoint(6)
    folder.mkdir(parents=True)
    (folder / "checkpoint.json").write_text(
        f'{{"time": 1.0, "step": 6, "offset": {find_offset(run, 6)}, "recipe": "", "backend": "tensorflow", '
        '"device": "", "precision": "float32", "packages": {}, "processor": "", "cores": 1, "built": "", '
        '"cached": false}'
    )
    write_manifest(folder)
    app = BareApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, run)
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        said = text(app.screen.query_one("#dialog-text", Static))
        assert "- recipe.toml was changed" in said
        assert "and was missing" in said
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert not run.alive()


async def test_a_run_whose_recipe_cannot_be_read_is_not_resumed(write_run: Write) -> None:
    run = write_run(status="interrupted")
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 1)
        run.recipe_file.write_text("task = 3")
        app.resume(run)
        await until(pilot, lambda: "task" in notes(app))
        assert not app.shown


async def test_why_a_run_did_not_go_on_is_told_on_any_screen(write_run: Write) -> None:
    run = write_run(status="interrupted")
    app = BareApp()
    async with app.run_test(size=(80, 24)) as pilot:
        begun = time.time()
        with living(run):
            app.run_worker(await_refused_resume(app, run, begun))
            EventLog(run.events_file).write(Noted(time=time.time(), message="the run could not go on: no data"))
            await pilot.pause()
            assert not notes(app)
        await until(pilot, lambda: "could not go on: no data" in notes(app))


async def test_only_runs_that_have_ended_can_be_resumed(write_run: Write) -> None:
    statuses: tuple[Status | None, ...] = ("done", "interrupted", "unfinished", "failed", "refused", None)
    runs = {status: write_run(str(status), status=status, age=index) for index, status in enumerate(statuses)}
    with living(runs[None]):
        async with Opened().run_test(size=(120, 40)) as pilot:
            table = await listed(pilot, len(runs))
            offered = {}
            for row in range(len(runs)):
                table.cursor = row
                await pilot.pause()
                assert table.current
                offered[table.current.recipe] = "g" in pilot.app.screen.active_bindings
            resumable = {"done", "interrupted", "unfinished", "failed"}
            assert offered == {str(status): status in resumable for status in statuses}
