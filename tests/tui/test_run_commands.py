"""Commands to a run from its screen, and leaving it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from textual.widgets import Button, Input, Static

from ftapp.runs import commands, run_lookup
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import Controlled, RunEnded
from ftapp.runs.leases import Lease
from ftapp.runs.phase_events import Stepped
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.widgets.cautions import Cautions
from ftapp.tui.widgets.headline import Headline
from tests.tui.conftest import Write
from tests.tui.harness import BareApp, living, notes, start_long_run, until
from tests.tui.test_run import opened, text


async def test_commands_are_gone_for_an_ended_run(write_run: Write) -> None:
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, write_run())
        await until(pilot, lambda: "pause" not in {each.binding.action for each in screen.active_bindings.values()})
        actions = {active.binding.action: active.enabled for active in screen.active_bindings.values()}
        assert not {"stop", "checkpoint", "rate", "resume"} & set(actions)


async def test_space_pauses_a_run_and_lets_one_that_is_paused_go_on(write_run: Write) -> None:
    live = write_run(status=None)
    with living(live):
        async with BareApp().run_test(size=(120, 40)) as pilot:
            screen = await opened(pilot, live)

            def offered() -> list[str]:
                return [each.binding.description for key, each in screen.active_bindings.items() if key == "space"]

            await until(pilot, lambda: offered() == ["Pause"])
            await pilot.press("space")
            control_file = live.control_file
            assert '"pause"' in control_file.read_text()
            log = EventLog(live.events_file)
            log.write(Controlled(time=time.time(), id="1", command="pause", step=10, applied=True))
            await until(pilot, lambda: offered() == ["Resume"])
            await pilot.press("space")
            assert '"resume"' in control_file.read_text()


async def test_stop_cancels_a_run_that_waits_for_a_machine(write_run: Write) -> None:
    run = write_run(status=None)
    run.leases.claim(Lease(launch="a", engine="ray", state="waiting", job="12"), 0)
    app = BareApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, run)
        await until(pilot, lambda: "waits in Ray's queue (job 12)" in text(screen.query_one(Headline)))
        await until(pilot, lambda: "x" in screen.active_bindings)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        said = " ".join(text(each) for each in app.screen.query(Static))
        assert "waits for a machine and is cancelled" in said
        await pilot.click("Button")
        await until(pilot, lambda: run.status() == "interrupted")
        await until(pilot, lambda: "was cancelled while it waited" in notes(app))


async def test_leaving_a_live_run_ends_what_draws_it(write_run: Write) -> None:
    run = write_run(status=None)
    app = BareApp()
    with living(run):
        async with app.run_test(size=(120, 40)) as pilot:
            screen = await opened(pilot, run)
            following = [worker for worker in app.workers if worker.node is screen]
            assert following
            await pilot.press("1")
            await until(pilot, lambda: not screen.is_attached)
            assert all(worker.is_cancelled for worker in following)
            assert not screen._draw()


async def test_the_model_can_be_tried_once_it_is_saved(write_run: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    run, app, tried = write_run(status="interrupted"), BareApp(), list[RunFolder]()
    monkeypatch.setattr(app, "try_model", tried.append)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, run)
        await until(pilot, lambda: "g" in app.screen.active_bindings)
        await pilot.press("t")
        assert "has no saved model, since the run is interrupted" in notes(app)
        run.model_folder.mkdir()
        (run.model_folder / "ftapp.json").write_text("{}")
        await pilot.press("t")
        assert tried == [run]


async def test_a_real_run_is_started_paused_slowed_saved_and_stopped(image_recipe: str, tmp_path: Path) -> None:
    app = BareApp()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await start_long_run(pilot, image_recipe, tmp_path)
        try:
            await pilot.press("space")
            await until(pilot, lambda: screen.history.paused)
            await until(pilot, lambda: "paused" in text(screen.query_one(Headline)))
            await pilot.press("e")
            await until(pilot, lambda: bool(app.screen.query("Ask Input")))
            app.screen.query_one(Input).value = "none"
            await pilot.press("enter")
            assert "a rate is a number above 0" in text(app.screen.query_one("#wrong", Static))
            app.screen.query_one(Input).value = "0.0005"
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is screen)
            await pilot.press("k", "space")
            await until(pilot, lambda: bool(screen.history.checkpoints) and not screen.history.paused, seconds=60)
            count = len(screen.history.steps)
            await until(pilot, lambda: len(screen.history.steps) > count)
            assert screen.history.steps[-1].rate == pytest.approx(0.0005)
            await until(pilot, lambda: app.live_runs == 1)
            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, Dialog))
            await pilot.click(Button)
            await until(pilot, lambda: screen.history.ended is not None, seconds=60)
            assert screen.run.status() == "interrupted"
            assert (screen.run.model_folder / "model.keras").is_file()
            saved = screen.run.folder / screen.history.checkpoints[0].folder
            assert (saved / "model.keras").is_file()
        finally:
            if screen.run.alive() and screen.history.ended is None:
                commands.send(screen.run, commands.Stop())
    assert [one.folder for one in run_lookup.list_runs(app.runs_dir)] == [screen.run.folder]


async def test_leaving_with_a_live_run_says_that_it_goes_on(write_run: Write) -> None:
    run = write_run(status=None, total=100)
    app = BareApp()
    with living(run):
        async with app.run_test(size=(100, 30)) as pilot:
            await until(pilot, lambda: app.live_runs == 1)
            await pilot.press("q")
            await until(pilot, lambda: isinstance(app.screen, Dialog))
            assert "A run continues without the interface" in text(app.screen.query_one("#dialog-text", Static))
            await pilot.press("escape")
            assert app.is_running
            await pilot.press("q", "left", "enter")
            await pilot.pause()
    assert app.return_code == 0


async def test_a_loss_that_rises_raises_an_alarm_that_names_the_key(write_run: Write) -> None:
    run = write_run(status=None, steps=10, total=100)
    with living(run):
        async with BareApp().run_test(size=(80, 24)) as pilot:
            screen = await opened(pilot, run)
            report = screen.query_one(Cautions)
            assert not report.has_class("-any")
            log = EventLog(run.events_file)
            for step in range(11, 41):
                event = Stepped(time=time.time(), step=step, epoch=1, loss=9.0, rate=0.001, seconds=0.1, memory=1)
                log.write(event)
            await until(pilot, lambda: report.has_class("-any"))
            assert "the training loss has exploded: it is 9, and was 0.725" in text(report)
            assert "press e for a smaller learning rate (now 0.001), or x to stop" in text(report)
            log.write(RunEnded(time=time.time(), status="done", steps=40, seconds=4.0))
            await until(pilot, lambda: "the test split was not measured" in text(report))
