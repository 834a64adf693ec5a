"""What a shell is offered while a command line is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftapp.cli import app
from ftapp.experiments import trash
from tests.support.recorded_runs import record_run


def offered(line: str) -> list[str]:
    """What bash is offered for the last word of a line."""
    words = line.split(" ")
    variables = {"_FTAPP_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return CliRunner().invoke(app.app, [], env=variables, prog_name="ftapp").stdout.splitlines()


def test_recipes_and_their_files_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for name in ("mine.toml", "mine.txt", "mine/own.toml"):
        (tmp_path / name).write_text("")
    assert offered("ftapp run vgg16-t") == ["vgg16-two-phase", "vgg16-train-all"]
    assert offered("ftapp run bert-full m") == ["mine/", "mine.toml"]
    assert offered("ftapp plan mine/") == ["mine/own.toml"]
    assert offered("ftapp plan no/such/") in ([], [""])


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ftapp run vgg16-two-phase --profile ", ["quick"]),
        ("ftapp plan lesson-vgg16-four-quadrants -p l", ["large-similar", "large-different"]),
        ("ftapp lr-find lesson-gpt2-targeted-freezing --arm ", ["A full", "B targeted", "C reversed"]),
        ("ftapp lr-find lesson-gpt2-targeted-freezing --profile quick --arm B", ["B targeted"]),
    ],
)
def test_profiles_and_arms_of_the_recipe_are_offered(line: str, found: list[str]) -> None:
    assert offered(line) == found


def test_runs_and_deleted_runs_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path))
    run, gone = record_run(tmp_path), record_run(tmp_path)
    trash.delete_run(gone)
    assert offered("ftapp report ") == [run.folder.name, "last"]
    assert offered("ftapp compare last 2") == [run.folder.name]
    assert offered("ftapp runs --restore ") == [gone.folder.name, "last"]


def test_the_version_is_printed() -> None:
    from ftapp import __version__

    assert CliRunner().invoke(app.app, ["--version"]).stdout == f"ftapp {__version__}\n"
