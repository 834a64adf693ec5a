"""Experiments in the interface: a real one from the menu to its table, and what each key of its screen does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from ftapp.common.person import Person
from ftapp.experiments import experiment_creation, experiment_lookup
from ftapp.experiments.arms import Round, make_slug
from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs.launcher import LocalLauncher
from ftapp.tui import desktop
from ftapp.tui.app import FtApp
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.screens.experiment import ExperimentScreen
from ftapp.tui.screens.recipes import RecipesScreen
from ftapp.tui.screens.run import RunScreen
from ftapp.tui.widgets.facts import Facts
from ftapp.tui.widgets.findings_pane import FindingsPane
from ftapp.tui.widgets.run_table import RunTable
from tests.tui.conftest import RECIPE, Write
from tests.tui.harness import SIZES, Opened, listed, living, notes, reached, until

ARMS = """
[[arm]]
name = "A full"
phase.finetune.layers = ["train all"]
[[arm]]
name = "B frozen"
[[finding]]
says = "Frozen attention learns more slowly"
lesson = "L_B > L_A"
measure = "loss"
arm = "B frozen"
against = "A full"
at_least = 0.0
[[finding]]
says = "Half of the parameters train"
lesson = "R = 0.5"
measure = "trainable-share"
arm = "B frozen"
at_least = 0.4
at_most = 0.6
"""
_SECONDS = 400  # two runs that import Keras, on a busy machine


@pytest.fixture
def write_experiment(tmp_path: Path, write_run: Write) -> Any:
    """Writes the folders of an experiment of two arms and of its runs, as they are while it goes on or after it."""

    def write(*statuses: str | None, repeats: int = 1, result: dict[str, Any] | None = None) -> Experiment:
        """statuses: of the runs so far, None for one that has not told its end; result: None before there is one."""
        text = RECIPE.format(steps=10, rate=0.001, seed=0) + ARMS
        experiment = experiment_creation.create(
            "lesson", "quick", text, ["A full", "B frozen"], repeats, 1, tmp_path / "runs"
        )
        for number, status in enumerate(statuses):
            repeat, arm = 1 + number // 2, ("A full", "B frozen")[number % 2]
            run = write_run(f"lesson-{make_slug(arm)}", status=status, age=100 - 10 * number, seed=repeat)
            facts = run.environment() | {"experiment": experiment.folder.name, "arm": arm, "repeat": repeat}
            (run.folder / "environment.json").write_text(json.dumps(facts))
            experiment.add(arm, Round(repeat), run)
        if result is not None:
            experiment.result_file.write_text(json.dumps(result))
        return experiment

    return write


RESULT = {
    "report": "report.html",
    "findings": [
        {
            "says": "Frozen attention learns more slowly",
            "lesson": "L_B > L_A",
            "told": "0.3 (0.2 to 0.4)",
            "holds": "yes",
        },
        {"says": "Half of the parameters train", "lesson": "R = 0.5", "told": "25.0%", "holds": "no"},
    ],
    "comparisons": [{"verdicts": ["The training loss of B frozen is higher."]}],
    "notes": ["All arms began from bitwise the same weights (hash 1234)."],
}


async def shown(pilot: Pilot[None], experiment: Experiment) -> ExperimentScreen:
    """The screen, once it has drawn the experiment."""
    screen = ExperimentScreen(experiment)
    await pilot.app.push_screen(screen)
    await until(pilot, lambda: arms(screen))
    await pilot.pause()
    return screen


def arms(screen: ExperimentScreen) -> list[str]:
    return [str(option.prompt) for option in screen.query_one("#arms", OptionList).options]


def head(screen: ExperimentScreen) -> str:
    return str(screen.query_one("#head", Static).visual)


def findings(screen: ExperimentScreen) -> str:
    pane = screen.query_one(FindingsPane)
    lines = [strip.text for strip in pane.query_one(Static).render_lines(pane.query_one(Static).region.reset_offset)]
    return "\n".join(lines)


def drawn(table: RunTable) -> list[str]:
    return [table.render_line(y).text.rstrip() for y in range(table.size.height)]


@pytest.mark.slow
async def test_an_experiment_from_the_menu_to_its_table(text_recipe: str, tmp_path: Path) -> None:
    """Real processes: the experiment is started with a key, followed, found in the list, and its report is there."""
    Path("mine.toml").write_text(text_recipe + ARMS)
    app = FtApp()
    app.offline = True
    async with app.run_test(size=(120, 40)) as pilot:
        home = app.screen
        assert isinstance(home, RecipesScreen)
        await until(pilot, lambda: home.entry is not None and home.entry.checked)
        assert ("Arms", "A full  train all") in [tuple(map(str, row)) for row in home.query_one(Facts).rows]
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ExperimentScreen))
        screen = app.screen
        assert isinstance(screen, ExperimentScreen)
        await until(pilot, lambda: "running" in head(screen))
        await until(pilot, lambda: len(screen.runs) == 1, _SECONDS)
        assert "waits" in arms(screen)[1]
        assert "measured when all runs have ended" in str(screen.query_one(FindingsPane).border_subtitle)
        await pilot.press("enter")
        assert isinstance(app.screen, RunScreen)
        assert app.screen.run == screen.runs[0]
        await pilot.press("escape")
        await until(pilot, lambda: "done" in head(screen) and "2 of 2 runs have ended" in head(screen), _SECONDS)
        await until(pilot, lambda: "cannot be told" in findings(screen) or "yes" in findings(screen))
        await pilot.pause()  # until the pane has grown to its new text
        assert "L_B > L_A" in findings(screen)
        assert "bitwise the same weights" in findings(screen)
        assert [len(curve.x) for curve in screen._prepare()[0]["loss"]] == [12, 12]
        table = await listed(pilot, 3)
        assert [row.status for row in table.rows] == ["done", "done", "done"]
    [experiment] = experiment_lookup.list_experiments(tmp_path / "runs")
    assert not experiment.alive()
    assert experiment.report_file.is_file()
    assert len(experiment.group_runs()) == 2
    assert "experiment " in experiment.log_file.read_text()


async def test_runs_stand_below_their_experiment(write_experiment: Any, write_run: Write) -> None:
    write_run("alone", age=50, seed=9)
    experiment = write_experiment("done", None, None, repeats=2)
    app = Opened()
    with experiment.hold(), living(experiment.list_members()[2].run):
        async with app.run_test(size=(120, 40)) as pilot:
            table = await listed(pilot, 5)
            rows = drawn(table)
            assert "running 2/4" in rows[1]
            assert "▾ lesson" in rows[1]
            assert ["└ A full" in row for row in rows[1:6]] == [False, True, False, True, False]
            assert "└ A full  repeat 2" in rows[4]
            assert "alone" in rows[5]
            assert "2 of 4 runs have ended" in str(app.screen.query_one("#note", Static).visual)
            await pilot.press("t")
            assert "a model for each of its runs" in notes(app)
            await pilot.press("enter", "space", "c")
            assert app.explored == [experiment, experiment]
            await pilot.press("end", "space", "c")
            assert [run.folder.name[16:] for run in app.compared[0]] == [
                "lesson-a-full-0002",
                "lesson-b-frozen-0003",
                "lesson-a-full-0004",
                "alone-0001",
            ]
            # Sorted by anything else, each run stands for itself.
            await pilot.press("s")
            assert not any("└" in row for row in drawn(table))


async def test_what_goes_with_an_experiment_is_asked(write_experiment: Any) -> None:
    experiment = write_experiment("done", "done", result=RESULT)
    members = experiment.list_members()
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 3)
        await pilot.press("d")
        assert isinstance(app.screen, Dialog)
        assert "The 2 runs can be deleted" in str(app.screen.query_one("#dialog-text", Static).visual)
        await pilot.press("escape")
        assert experiment.folder.is_dir()
        await pilot.press("d", "left", "enter")
        await until(pilot, lambda: len(table.rows) == 2)
        assert not experiment.folder.exists()
        assert "lesson-b-frozen" in drawn(table)[1]
        other = write_experiment("done", "failed", repeats=2)
        await until(pilot, lambda: len(table.rows) == 5)
        await pilot.press("home")
        assert table.current
        assert table.current.experiment == other
        await pilot.press("d", "left", "left", "enter")
        await until(pilot, lambda: len(table.rows) == 2)
        assert all(member.run.folder.is_dir() for member in members)


async def test_an_experiment_is_stopped_after_a_question(write_experiment: Any) -> None:
    experiment = write_experiment("done", None)
    app = Opened()
    with experiment.hold():
        async with app.run_test(size=(120, 40)) as pilot:
            await listed(pilot, 3)
            await pilot.press("d")
            assert "An experiment that is running cannot be deleted" in notes(app)
            await pilot.press("x", "escape")
            assert not experiment.is_stopping()
            screen = await shown(pilot, experiment)
            await pilot.press("x", "enter")
            assert not experiment.is_stopping()
            await pilot.press("x", "left", "enter")
            assert experiment.is_stopping()
            await until(pilot, lambda: "stopping" in head(screen))


async def test_an_experiment_that_was_cut_off_goes_on(write_experiment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = write_experiment("done", "interrupted")
    resumed: list[Experiment] = []
    monkeypatch.setattr(LocalLauncher, "start", lambda launcher, job, *more: resumed.append(job))
    app = Opened()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await shown(pilot, experiment)
        await pilot.press("g")
        await until(pilot, lambda: resumed == [experiment])
        app.person = Person("ana", "student")  # what runs in a class takes turns
        screen.refresh_bindings()
        await until(pilot, lambda: "g" not in screen.active_bindings)
        app.person = Person()
        await pilot.press("escape", "2")
        await listed(pilot, 3)
        await pilot.press("g")
        await until(pilot, lambda: app.explored == [experiment])
        assert len(resumed) == 2
        screen = await shown(pilot, experiment)
        experiment.folder.rename(experiment.folder.with_name("moved"))
        await pilot.press("g")
        await until(pilot, lambda: "its folder is gone" in notes(app))
        assert len(resumed) == 2


async def test_an_experiment_that_cannot_be_written_says_which_file(write_experiment: Any) -> None:
    experiment = write_experiment("done", "interrupted")
    experiment.lock_file.unlink(missing_ok=True)
    experiment.lock_file.mkdir()
    app = Opened()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, experiment)
        await pilot.press("g")
        await until(pilot, lambda: f"{experiment.lock_file}: Is a directory" == notes(app))


async def test_findings_verdicts_and_the_report_of_an_ended_experiment(
    write_experiment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop, "open_path", lambda path: False)
    experiment = write_experiment("done", "done", result=RESULT)
    experiment.report_file.write_text("")
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await shown(pilot, experiment)
        assert "● done  lesson quick   2 of 2 runs have ended" in head(screen)
        assert arms(screen)[0].startswith("━• A full    done · accuracy 80.0% · loss 0.5 · R = 25.0%   train all")
        await until(pilot, lambda: "L_B > L_A" in findings(screen))
        await pilot.pause()  # until the pane has grown to its new text
        first = next(line for line in findings(screen).splitlines() if "L_B > L_A" in line)
        assert first.split("  ")[-1].strip() == "yes" or "yes" in first
        assert "is higher" in findings(screen)
        assert screen.query_one(FindingsPane).border_subtitle == "1 of 2 hold"
        assert "x" not in screen.active_bindings
        await pilot.press("e")
        assert app.clipboard == str(experiment.report_file)
        await pilot.press("down", "enter")
        assert app.shown == [experiment.list_members()[1].run]
        await pilot.press("escape")
        assert app.screen is not screen


async def test_repeats_take_turns(write_experiment: Any) -> None:
    experiment = write_experiment("done", "done", "done", None, repeats=2)
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await shown(pilot, experiment)
        assert "crashed" in head(screen)
        assert "repeat 2 of 2  ·  its process ended without a result  ·  " in head(screen)
        assert screen.runs == [member.run for member in experiment.list_members()[2:]]
        await pilot.press("r")
        await until(pilot, lambda: screen.runs == [member.run for member in experiment.list_members()[:2]])
        await until(pilot, lambda: "repeat 1 of 2" in head(screen))


async def test_an_experiment_without_runs_yet(write_experiment: Any) -> None:
    experiment = write_experiment()
    app = Opened()
    with experiment.hold():
        async with app.run_test(size=(120, 40)) as pilot:
            screen = await shown(pilot, experiment)
            assert [line.split()[-2:] != [] and "waits" in line for line in arms(screen)] == [True, True]
            await pilot.press("enter", "n", "m", "m")
            assert "has no run in this repeat yet" in notes(app)
            assert "0 of 2 runs have ended" in head(screen)


async def test_findings_and_curves_can_be_reached_at_every_size(write_experiment: Any) -> None:
    app = Opened()
    async with app.run_test(size=SIZES[0]) as pilot:
        await shown(pilot, write_experiment("done", "done", result=RESULT))
        for size, theme in zip(SIZES, ["ftapp-dark", "ftapp-light"] * 2, strict=True):
            app.theme = theme
            await pilot.resize_terminal(*size)
            seen = await reached(pilot, 8)
            assert {"arms", "findings", "loss", "pairs", "results", "differences"} <= seen


async def test_the_folds_of_a_recipe_are_shown_as_repeats(write_run: Write, tmp_path: Path) -> None:
    text = RECIPE.format(steps=10, rate=0.001, seed=0)
    experiment = experiment_creation.create("mine", None, text, ["mine"], 1, 1, tmp_path / "runs", folds=3)
    for of in experiment.list_rounds()[:2]:
        run = write_run(f"mine-fold-{of.fold}", status="done", seed=0)
        recipe = run.recipe_file.read_text()
        run.recipe_file.write_text(recipe.replace("[data]", f"[data]\nfolds = 3\nfold = {of.fold}"))
        experiment.add("mine", of, run)
    rows = [["accuracy", "82.50% ± 1.29%", "79.00% to 86.00%", "82.50%"]]
    table = {"title": "mine over 3 folds, 300 test examples", "header": ["test", "mean", "95%", "all"], "rows": rows}
    result = {"report": "report.html", "folds": [table | {"method": "Folds share examples."}]}
    app = Opened()
    async with app.run_test(size=(160, 45)) as pilot:
        with experiment.hold():
            screen = await shown(pilot, experiment)
            assert [line.split()[1:3] for line in arms(screen)] == [["fold", "1"], ["fold", "2"], ["fold", "3"]]
            assert "waits" in arms(screen)[2]
            await until(pilot, lambda: screen.are_folds)
            assert not screen.query_one("#pairs").display
            assert not screen.query_one("#differences").display
            shown_results = [tuple(map(str, row)) for row in screen.query_one("#results Facts", Facts).rows]
            assert shown_results[0] == ("", "mean ± standard deviation of 2 runs")
            assert any(row[0] == "accuracy" and " ± " in row[1] for row in shown_results)
            assert screen.check_action("next_repeat", ()) is False
        experiment.result_file.write_text(json.dumps(result))
        await pilot.press("escape")
        screen = await shown(pilot, experiment)
        await until(pilot, lambda: "82.50% ± 1.29%" in findings(screen))
        assert "mine over 3 folds, 300 test examples" in findings(screen)
        assert "not measured" not in str(screen.query_one(FindingsPane).border_subtitle)
