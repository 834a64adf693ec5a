"""The results of test examples: what is written is read, and a file of something else counts as none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp.runs.example_results import ExampleResult, format_score, read_example_results
from ftapp.runs.run_folder import RunFolder
from tests.support.example_results import FOUND, write_examples
from tests.support.recorded_runs import record_run


def read(run: RunFolder, limit: int | None = None) -> list[ExampleResult] | None:
    found = read_example_results(run, run.history().result, limit)
    return None if found is None else list(found.found)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    run = record_run(tmp_path)
    picture = ExampleResult(example="a/\udcff.png", loss=0.5, file="/a/\udcff.png", picture=b"\x00RIFF")
    written = write_examples(run, *FOUND)
    assert read_example_results(run, run.history().result) == written
    assert read(run, 1) == [FOUND[0]]
    write_examples(run, picture)
    assert read(run) == [ExampleResult(example="a/?.png", loss=0.5, file="/a/?.png", picture=b"\x00RIFF")]


def test_a_file_of_another_result_counts_as_none(tmp_path: Path) -> None:
    run = record_run(tmp_path)
    assert read(run) is None
    write_examples(run, step=1)
    assert read(run) is None
    assert read_example_results(run, None) is None


def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    run = record_run(tmp_path)
    write_examples(run)
    header, first, second = run.examples_file.read_bytes().splitlines(keepends=True)
    run.examples_file.write_bytes(header + first[:20] + b"\n" + second)
    assert read(run) == [FOUND[1]]
    assert read(run, 1) == [FOUND[1]]
    run.examples_file.write_bytes(first + second)
    assert read(run) is None


@pytest.mark.parametrize(
    ("result", "scores", "said"),
    [
        (FOUND[0], "probability", "'good' taken for 'bad' (98.6%)"),
        (ExampleResult(example="row 2", loss=1.5, truth="5", answer="4.8"), "", "4.8 predicted, 5 true"),
        (FOUND[1], "probability", "'bad' is right (88.0%)"),
        (FOUND[1], "distance", "'bad' is right (+0.88)"),
        (ExampleResult(example="row 1", loss=1.0), "", ""),
    ],
)
def test_answers_in_words(result: ExampleResult, scores: str, said: str) -> None:
    assert result.describe_answer(scores) == said  # type: ignore[arg-type]
    assert format_score(None, "probability") == ""
