"""`ftapp tag`, `ftapp note` and `ftapp runs --where`: one run is told from others by what its user writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ftapp.cli.app import app
from tests.support.recorded_runs import record_run


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of two runs."""
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path / "runs"))
    return [record_run(tmp_path / "runs").folder.name for _ in range(2)]


def test_tags_and_notes_are_printed_and_runs_are_found_by_them(names: list[str]) -> None:
    assert invoke("tag", names[0], "night", "b/2").stdout == "night\nb/2\n"
    assert invoke("tag", names[0], "-r", "b/2", "--json").stdout.endswith('"tags": ["night"], "note": ""}\n')
    assert invoke("note", names[0], "a first\nline").stdout == "a first\nline\n"
    assert invoke("note", names[0]).stdout == "a first\nline\n"
    found = json.loads(invoke("runs", "--json", "--where", "tag=night note~^a").stdout)
    assert [(Path(row["run"]).name, row["tags"], row["note"]) for row in found] == [
        (names[0], ["night"], "a first\nline")
    ]
    listed = invoke("runs", "-w", "-tag=night").stdout
    assert names[1] in listed
    assert names[0] not in listed
    assert "night" in invoke("runs").stdout
    assert invoke("note", names[0], "").stdout == ""
    assert "a first" not in invoke("runs").stdout


def test_wrong_tags_and_filters_are_refused(names: list[str]) -> None:
    result = invoke("tag", names[0], "two words")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'two words' is not a tag" in result.stderr
    result = invoke("runs", "--where", "los<1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "runs have no 'los'; did you mean 'loss'" in result.stderr
    result = invoke("runs", "--where", "tag=nowhere")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no run matches\n")
    result = invoke("run", "bert-full", "--tag", "a,b")
    assert result.exit_code == 2
    assert "'a,b' is not a tag" in result.stderr
