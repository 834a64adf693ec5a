"""`ftapp errors`: the table, CSV and JSON of a run's test examples, and why there are none."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ftapp.cli import app
from ftapp.runs.example_results import ExampleResult
from ftapp.runs.run_folder import RunFolder
from tests.support.example_results import write_examples
from tests.support.recorded_runs import record_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return record_run(tmp_path / "runs")


def invoke(run: RunFolder, *arguments: str) -> Result:
    return CliRunner().invoke(app.app, ["errors", str(run.folder), *arguments])


def test_table(run: RunFolder) -> None:
    write_examples(run)
    result = invoke(run)
    assert result.exit_code == 0
    header, rule, first, second, *rest = result.stdout.strip().splitlines()
    assert header.split() == ["loss", "truth", "score", "answer", "score", "example", "text"]
    assert set(rule) == {"─"}
    assert first.split() == [
        *("4.2500", "✗", "good", "1.4%", "bad", "98.6%", "row", "7"),
        *("=never", "<b>again</b>", "I", "went"),
    ]
    assert second.split() == ["0.1250", "✓", "bad", "88.0%", "bad", "88.0%", "row", "3"]
    assert rest == ["2 of 100 examples of the test split; --limit N lists more"]
    assert "row 3" not in invoke(run, "--limit", "1").stdout


def test_table_of_sequences_has_no_empty_columns(run: RunFolder) -> None:
    write_examples(run, ExampleResult(example="sequence 2", loss=3.5, text="the cat"))
    assert invoke(run).stdout.splitlines()[1].split() == ["loss", "example", "text"]


def test_table_of_completions_begins_with_the_prompt(run: RunFolder) -> None:
    write_examples(run, ExampleResult(example="row 2", loss=3.5, text="Who?", truth="She."))
    header, _, only, *_ = invoke(run).stdout.strip().splitlines()
    assert header.split() == ["loss", "example", "prompt", "completion"]
    assert only.split() == ["3.5000", "row", "2", "Who?", "She."]


def test_csv_is_safe_in_a_spreadsheet(run: RunFolder) -> None:
    write_examples(run)
    first, second = csv.DictReader(io.StringIO(invoke(run, "--csv").stdout))
    assert first == {
        "example": "row 7",
        "loss": "4.25",
        "truth": "good",
        "answer": "bad",
        "truth_score": "0.0143",
        "answer_score": "0.9857",
        "right": "false",
        "file": "",
        "text": "'=never <b>again</b> I went",
    }
    assert second["text"] == ""


def test_json(run: RunFolder) -> None:
    write_examples(run)
    found = json.loads(invoke(run, "--json", "--limit", "1").stdout)
    assert (found["run"], found["split"], found["examples"], found["scores"]) == (
        str(run.folder),
        "test",
        100,
        "probability",
    )
    (only,) = found["found"]
    assert (only["example"], only["right"], only["text"]) == ("row 7", False, "=never <b>again</b>\nI went")
    assert "picture" not in only


def test_what_cannot_be_listed(run: RunFolder, tmp_path: Path) -> None:
    missing = invoke(run)
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "has no examples.jsonl of its result" in missing.stderr
    assert "both given" in invoke(run, "--json", "--csv").stderr
    assert invoke(run, "--limit", "0").exit_code == 2
    other = record_run(tmp_path / "other", status="interrupted")
    events = [line for line in other.events_file.read_bytes().splitlines(keepends=True) if b'"final":true' not in line]
    other.events_file.write_bytes(b"".join(events))
    assert "is interrupted and has no result" in invoke(other).stderr
