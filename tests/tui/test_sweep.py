"""A sweep in the interface: its trials, what can be told, and what each key does."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from ftapp.common.person import Person
from ftapp.experiments.experiment_folder import Experiment
from ftapp.report.experiment import write_result
from ftapp.runs.launcher import LocalLauncher
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.screens.sweep import SweepScreen
from tests.support.sweeps import SEARCHED, make_sweep
from tests.tui.harness import SIZES, Opened, until


async def show(pilot: Pilot[None], experiment: Experiment) -> SweepScreen:
    """The screen, once it has drawn the sweep."""
    screen = SweepScreen(experiment)
    await pilot.app.push_screen(screen)
    await until(pilot, lambda: screen.query_one(OptionList).option_count)
    await pilot.pause()
    return screen


def text(screen: SweepScreen, where: str) -> str:
    return str(screen.query_one(where, Static).visual)


def trials(screen: SweepScreen) -> list[str]:
    return [str(option.prompt) for option in screen.query_one(OptionList).options]


@pytest.mark.parametrize("size", SIZES)
async def test_trials_stand_in_order_beside_what_can_be_told(size: tuple[int, int], tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "runs")
    write_result(sweep)
    app = Opened()
    async with app.run_test(size=size) as pilot:
        screen = await show(pilot, sweep)
        first, *others = trials(screen)
        assert first.split()[:4] == ["trial", "1", "80.00%", "2.7"]
        arms = [line.split("  ")[0].strip() for line in others]
        assert arms == ["trial 4", "recipe", "trial 2", "trial 3", "trial 5"]
        assert "failed" in others[-2]
        assert "pruned" in others[-1]
        assert "done  Sweep of bert-full" in text(screen, "#head")
        assert "trial 1 beats the recipe's own values" in text(screen, "#conclusions Static")
        assert text(screen, "#values").startswith("learning_rate=0.0001  layers=")
        # Both ends of the frontier are drawn, also at the edge of the plot; the subtitle has one more sign.
        assert app.export_screenshot().count("◆") == 2 + 1
        assert screen.query_one("#trials").region.height >= 3
        await pilot.press("down", "enter")
        (run,) = app.shown
        assert run.folder.name == sweep.list_members()[4].run.folder.name


async def test_a_sweep_that_goes_on_is_followed_and_can_be_stopped(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "runs", SEARCHED[:2], {}, status=None)
    app = Opened()
    with sweep.lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        async with app.run_test(size=(80, 24)) as pilot:
            screen = await show(pilot, sweep)
            assert len(trials(screen)) == 2
            assert "The search goes on." in text(screen, "#conclusions Static")
            added = make_sweep(tmp_path / "others", SEARCHED[:3], {}).list_members()[2]
            sweep.add("trial 2", added.round, added.run, values=added.values)
            added.run.folder.rename(tmp_path / "runs" / added.run.folder.name)
            await until(pilot, lambda: len(trials(screen)) == 3)
            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, Dialog))
            said = " ".join(str(each.visual) for each in app.screen.query(Static))
            assert "g resumes a stopped sweep." in said
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, SweepScreen))
            app.person = Person("ana", "student")  # it is not hers
            screen.refresh_bindings()
            await until(pilot, lambda: "x" not in screen.active_bindings)


async def test_a_sweep_that_was_cut_off_says_why_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = make_sweep(tmp_path / "runs", SEARCHED[:2], {}, status=None)
    sweep.log_file.write_text("trial 1: 0.8\nthe study cannot be used: the disk is full\n", "utf-8")
    resumed: list[Experiment] = []
    monkeypatch.setattr(LocalLauncher, "start", lambda launcher, job, *more: resumed.append(job))
    app = Opened()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, sweep)
        assert text(screen, "#conclusions Static") == "There is no result: the study cannot be used: the disk is full"
        await pilot.press("g")
        await until(pilot, lambda: resumed == [sweep])
        app.person = Person("ana", "student")  # what runs in a class takes turns
        screen.refresh_bindings()
        await until(pilot, lambda: "g" not in screen.active_bindings)


async def test_a_damaged_sweep_is_shown_with_the_reason_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "runs")
    sweep.recipe_file.write_text("title = ", "utf-8")
    app = Opened()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = SweepScreen(sweep)
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: "damaged" in text(screen, "#head"))
        assert trials(screen) == []
        assert "There is no result: its recipe.toml" in text(screen, "#conclusions Static")
