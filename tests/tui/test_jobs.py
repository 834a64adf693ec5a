"""Exports and predictions from the interface, and the jobs that do them."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import pytest
from textual.widgets import Button, OptionList, Static

from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.runs.export_formats import FORMATS
from ftapp.tui.app import FtApp
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.dialogs.export_form import ExportForm
from ftapp.tui.dialogs.job import JobDialog
from ftapp.tui.dialogs.pick_file import PickFile
from ftapp.tui.dialogs.predict_form import PredictForm
from ftapp.tui.jobs import BackgroundJob, JobResult
from ftapp.tui.screens.runs import RunsScreen
from ftapp.tui.widgets.facts import Facts
from ftapp.tui.widgets.path_field import PathField, complete_path
from ftapp.tui.widgets.tick import Tick
from tests.support.presets import Tiny
from tests.tui.conftest import Write
from tests.tui.harness import listed, notes, until


def text_of(app: FtApp, name: str) -> str:
    return "".join(str(found.visual) for found in app.screen.query(name).results(Static))


def facts_of(app: FtApp) -> dict[str, str]:
    return {label: str(values[0]) for label, *values in app.screen.query_one(Facts).rows}


@pytest.mark.slow
async def test_a_model_predicts_a_folder_and_is_exported(image_recipe: str, tiny: Tiny, tmp_path: Path) -> None:
    from tests.support.exports import save_run

    run = save_run(image_recipe, tmp_path)
    output = tmp_path / "answers.csv"
    app = FtApp()
    async with app.run_test(size=(100, 40)) as pilot:
        await listed(pilot, 1)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, PredictForm))
        app.screen.query_one("#input", PathField).value = str(tiny.photos)
        app.screen.query_one("#output", PathField).value = str(output)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, JobDialog))
        await until(pilot, lambda: "without an answer" in facts_of(app), seconds=120)
        with output.open() as file:
            rows = list(csv.DictReader(file))
        assert facts_of(app)["inputs"] == str(len(rows))
        assert {row["answer"] for row in rows} <= {"across", "down"}
        await pilot.press("escape", "w")
        await until(pilot, lambda: isinstance(app.screen, ExportForm))
        app.screen.query_one(OptionList).highlighted = list(FORMATS).index("saved_model")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, JobDialog))
        await pilot.press("escape")  # it goes on
        await until(pilot, lambda: "Equal answers: 10 of 10" in notes(app), seconds=120)
        assert (run.folder / "export" / "saved_model" / "predict.py").is_file()


async def test_the_form_of_an_export_says_what_is_wrong(write_run: Write) -> None:
    run = write_run()
    run.model_folder.mkdir()
    (run.model_folder / "ftapp.json").write_text("{}")
    full = run.folder / "export" / "openvino"
    full.mkdir(parents=True)
    (full / "predict.py").write_text("")
    app = FtApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 1)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, ExportForm))
        screen = app.screen
        screen.query_one(OptionList).highlighted = list(FORMATS).index("openvino")
        await until(pilot, lambda: "exists and is not empty; mark 'replace'" in text_of(app, "#wrong"))
        assert screen.query_one(PathField).value == str(full)
        screen.query_one("#int8", Tick).value = True
        await until(pilot, lambda: screen.query_one(PathField).value == f"{full}-int8")
        assert not text_of(app, "#wrong")
        screen.query_one(OptionList).highlighted = list(FORMATS).index("onnx")
        await until(pilot, lambda: screen.query_one("#int8", Tick).disabled)
        assert screen.query_one(PathField).value == str(full.with_name("onnx"))
        screen.query_one("#folder", PathField).value = str(run.recipe_file)
        await until(pilot, lambda: "is a file; an export is a folder" in text_of(app, "#wrong"))


async def test_the_form_of_predictions_proposes_an_output_and_says_what_is_wrong(
    write_run: Write, tmp_path: Path
) -> None:
    run = write_run()
    run.model_folder.mkdir()
    (run.model_folder / "ftapp.json").write_text("{}")
    table = tmp_path / "new films.csv"
    table.write_text("text\nfine\n")
    app = FtApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 1)
        await pilot.press("p", "enter")
        await until(pilot, lambda: isinstance(app.screen, PredictForm))
        await until(pilot, lambda: "an input is missing" in text_of(app, "#wrong"))
        given, output = (app.screen.query_one(name, PathField) for name in ("#input", "#output"))
        given.value = str(table)[:-4]
        await until(pilot, lambda: output.value)
        await pilot.press("enter")
        assert "there is no file or folder" in text_of(app, "#wrong")
        for wrong, reason in (("~nobody/films", "there is no file or folder"), ("x" * 300, "File name too long")):
            given.value = wrong
            await pilot.press("enter")
            assert reason in text_of(app, "#wrong")
            await pilot.press("ctrl+o")
            await until(pilot, lambda: isinstance(app.screen, PickFile))
            await pilot.press("escape")
        given.value = str(table)
        await until(pilot, lambda: output.value == str(tmp_path / "new films-answers.csv"))
        output.value = str(table)
        await pilot.press("enter")
        assert "is the input too" in text_of(app, "#wrong")
        output.value = str(tmp_path / "answers.xlsx")
        await pilot.press("enter")
        assert "does not end in .csv, .jsonl or .parquet" in text_of(app, "#wrong")


async def wait(progress: Progress) -> JobResult:
    progress("counting", 1, 4)
    await asyncio.sleep(3600)
    raise AssertionError("it is never done")


async def test_a_job_goes_on_when_it_is_hidden_and_is_cancelled_or_ends_with_the_interface() -> None:
    app = FtApp()
    kept = {"Export of A": "Nothing was written.", "Export of B": "Nothing is left."}
    jobs = [BackgroundJob(title, wait, left) for title, left in kept.items()]
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        for job in jobs:
            app.start_job(job)
            await until(pilot, lambda: getattr(app.screen, "job", None) in jobs)
            await until(pilot, lambda: "counting 1 of 4" in text_of(app, "#state"))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await until(pilot, lambda: "2 jobs are running" in text_of(app, "TopBar #live"))
        app.show_job(jobs[0])
        await until(pilot, lambda: isinstance(app.screen, JobDialog) and app.screen.query("#cancel"))
        await pilot.click("#cancel")
        await until(pilot, lambda: jobs[0].status == "cancelled" and "Nothing was written." in text_of(app, "#state"))
        await pilot.press("escape", "q")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        asked = text_of(app, "#dialog-text")
        assert "Export of B ends. Nothing is left." in asked
        assert "Export of A" not in asked
        await pilot.click(Button)
        await until(pilot, lambda: jobs[1].status == "cancelled")


@pytest.mark.parametrize("error", [RunError("this model is too round"), ValueError("this model is too round")])
async def test_why_a_job_failed_is_told_on_any_screen(error: Exception) -> None:
    hidden = asyncio.Event()

    async def fail(progress: Progress) -> JobResult:
        await hidden.wait()
        raise error

    app = FtApp()
    async with app.run_test(size=(100, 30)) as pilot:
        app.start_job(BackgroundJob("Export", fail, ""))
        await until(pilot, lambda: isinstance(app.screen, JobDialog))
        await pilot.press("escape")
        hidden.set()
        await until(pilot, lambda: "this model is too round" in notes(app))


def test_paths_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos.csv").write_text("")
    (tmp_path / ".hidden").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert complete_path(f"{tmp_path}/ph") == f"{tmp_path}/photos/"
    assert complete_path("photos.") == "photos.csv"
    assert complete_path("~/pho") == "~/photos/"
    assert complete_path("./.h") == "./.hidden"
    assert complete_path(f"{tmp_path}/") is None
    assert complete_path("nowhere/x") is None
