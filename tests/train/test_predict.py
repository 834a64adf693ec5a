"""`ftapp predict` with tiny runs: the scores of the run's own evaluation, row by row, whatever interrupts it."""

from __future__ import annotations

import csv
import io
import json
import random
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from ftapp import data, recipe
from ftapp.cli import app
from ftapp.common.errors import RunError
from ftapp.common.partial_file import PartialFile
from ftapp.data import Subset
from ftapp.runs.run_folder import RunFolder
from ftapp.training.callbacks.example_log import ExampleLog
from ftapp.training.evaluate import Evaluation
from tests.conftest import Do
from tests.support import recipes
from tests.support.predictions import predict, predict_parts
from tests.support.presets import BAD, GOOD, Tiny
from tests.support.processes import wait_for
from tests.support.quick_starts import make_command


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Evaluation]:
    """The evaluations of the results of runs in this process, with the scores of each example."""
    found: list[Evaluation] = []
    write = ExampleLog.write

    def watch(log: ExampleLog, session: object, step: int, evaluation: Evaluation) -> None:
        found.append(evaluation)
        write(log, session, step, evaluation)  # type: ignore[arg-type]

    monkeypatch.setattr(ExampleLog, "write", watch)
    return found


def read_test_split(run: RunFolder) -> Subset:
    splits = data.read(recipe.load(run.recipe_file))
    assert isinstance(splits, data.Splits)
    return splits.test


def write_lines(path: Path, texts: Sequence[str]) -> Path:
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def test_scores_of_texts_are_those_of_the_evaluation_to_the_last_digit(
    text_recipe: str, do: Do, measured: list[Evaluation], tmp_path: Path
) -> None:
    _, _, run = do(text_recipe, recipes.HEAD_ALONE, "frozen.cache=false", "evaluate.batch_size=8")
    test = read_test_split(run)
    rows = predict(run, write_lines(tmp_path / "test.txt", [str(test[at]) for at in range(len(test))]), scores=True)
    scores = measured[0].scores
    assert scores is not None
    expected = scores[np.argsort(measured[0].order)].astype(np.float32)
    assert np.array_equal(np.array([row.scores for row in rows], np.float32), expected)
    names = test.examples.classes
    assert [row.answer for row in rows] == [names[at] for at in expected.argmax(axis=1)]
    assert [row.answer_scores[0] for row in rows] == [max(row.scores) for row in rows]


def test_scores_of_images_are_those_of_the_evaluation_to_the_last_digit(
    image_recipe: str, do: Do, measured: list[Evaluation], tmp_path: Path
) -> None:
    _, _, run = do(image_recipe, "frozen.cache=false", "evaluate.batch_size=4")
    test = read_test_split(run)
    files = [file for at in range(len(test)) if (file := test.find_file(at))]
    rows = predict(run, *files, scores=True)
    scores = measured[0].scores
    assert scores is not None
    expected = scores[np.argsort(measured[0].order)].astype(np.float32)
    assert np.array_equal(np.array([row.scores for row in rows], np.float32), expected)
    (tmp_path / "broken.png").write_bytes(files[0].read_bytes()[:60])
    broken, whole = predict(run, tmp_path / "broken.png", files[0])
    assert "broken.png: the image cannot be decoded: it is corrupt or cut short" in broken.problem
    assert whole.answer == rows[0].answer


@pytest.fixture(scope="module")
def run(tiny: Tiny, probe: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of texts for the tests of the command."""
    folder = tmp_path_factory.mktemp("predict")
    (folder / "text.toml").write_text(recipes.text_recipe(tiny), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTAPP_CACHE", str(probe))
        command = make_command("ftapp.cli", "run", str(folder / "text.toml"), "--runs-dir", str(folder / "runs"))
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    [found] = (folder / "runs").iterdir()
    return RunFolder(found)


def start(run: RunFolder, *arguments: str, folder: Path) -> subprocess.Popen[str]:
    command = make_command("ftapp.cli", "predict", str(run.folder), *arguments)
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    )


def test_standard_input_is_predicted_and_damaged_rows_end_with_code_3(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    process = start(run, "empty.txt", "-o", "none.csv", folder=tmp_path)
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert (tmp_path / "none.csv").read_text() == "input,answer,probability,error\n"
    process = start(run, "-", "--top-k", "2", folder=tmp_path)
    stdout, stderr = process.communicate("a very good film\n\n=1+1 dull\n", timeout=300)
    assert process.returncode == 3
    assert "3 inputs; 1 without an answer: the column error says why" in stderr
    rows = list(csv.DictReader(io.StringIO(stdout)))
    names = "input answer probability top_1 top_1_probability top_2 top_2_probability error"
    assert list(rows[0]) == names.split()
    assert [row["input"] for row in rows] == ["a very good film", "", "'=1+1 dull"]
    assert [row["error"] for row in rows] == ["", "standard input, line 2: the text is empty", ""]
    assert rows[0]["answer"] == rows[0]["top_1"]
    assert float(rows[0]["top_1_probability"]) + float(rows[0]["top_2_probability"]) == pytest.approx(1)


def test_a_prediction_that_was_interrupted_and_killed_writes_the_same_file(run: RunFolder, tmp_path: Path) -> None:
    chance = random.Random(1)
    texts = [" ".join(chance.choices([*GOOD, *BAD, "film"], k=chance.randint(1, 40))) for _ in range(20_000)]
    texts[3] = ""
    write_lines(tmp_path / "in.txt", texts)
    note = tmp_path / "out.jsonl.partial.json"
    begun = start(run, "in.txt", "-o", "out.jsonl", folder=tmp_path)
    wait_for(note.exists)
    begun.send_signal(signal.SIGINT)
    _, stderr = begun.communicate(timeout=60)
    assert begun.returncode == 130
    rows = json.loads(note.read_bytes())["rows"]
    assert f"interrupted; the same command goes on after {rows:,} inputs" in stderr
    begun = start(run, "in.txt", "-o", "out.jsonl", folder=tmp_path)
    wait_for(lambda: json.loads(note.read_bytes())["rows"] > rows)
    begun.send_signal(signal.SIGKILL)
    begun.communicate(timeout=60)
    kept = json.loads(note.read_bytes())
    assert kept["rows"] in range(rows, 20_000, 2048)
    with (tmp_path / "out.jsonl.partial").open("ab") as file:
        file.write(b'{"half a row')
    again = start(run, "in.txt", "-o", "out.jsonl", folder=tmp_path)
    _, stderr = again.communicate(timeout=300)
    assert again.returncode == 3, stderr
    assert f"going on after {kept['rows']:,} inputs in out.jsonl.partial" in stderr
    whole = start(run, "in.txt", "--json", folder=tmp_path)
    stdout, _ = whole.communicate(timeout=300)
    assert (tmp_path / "out.jsonl").read_text("utf-8") == stdout
    assert [json.loads(line)["input"] for line in stdout.splitlines()] == texts
    assert not list(tmp_path.glob("*.partial*"))


def test_a_prediction_does_not_go_on_with_other_inputs_or_options(run: RunFolder, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "in.txt", ["good film"] * 2100)
    parts = predict_parts(run, [file])
    digest = next(part.digest for part in parts if part.digest)
    rest = predict(run, file, skip=2048, digest=digest)
    assert len(rest) == 2100 - 2048
    for changed in (["bad film", *["good film"] * 2099], ["good film"] * 2000):
        write_lines(file, changed)
        with pytest.raises(RunError, match="the first 2,048 inputs are not those that were predicted before"):
            predict(run, file, skip=2048, digest=digest)
    place = tmp_path / "out.csv"
    begun = PartialFile(place, {"model": "a", "set of options": 1}, anew=False)
    begun.open(b"head\n")
    begun.commit(5, 0, "x")
    begun.close()
    with pytest.raises(RunError, match=r"begun with another model, so it cannot go on; begin anew"):
        PartialFile(place, {"model": "b", "set of options": 1}, anew=False)
    anew = PartialFile(place, {"model": "b", "set of options": 1}, anew=True)
    assert anew.progress.rows == 0
    anew.open(b"head\n")
    anew.close()  # before the first rows: what was noted of the former file does not count
    assert PartialFile(place, {"model": "a", "set of options": 1}, anew=False).progress.rows == 0


def test_a_partial_file_is_written_by_one_process_at_a_time(tmp_path: Path) -> None:
    first, second, third = (PartialFile(tmp_path / "out.csv", {}, anew=False) for _ in range(3))
    first.open(b"head\n")
    first.write(b"row\n")
    with pytest.raises(RunError, match=r"another process writes .*partial; wait for its end, or name another file"):
        second.open(b"head\n")
    first.finish()
    first.close()
    assert (tmp_path / "out.csv").read_bytes() == b"head\nrow\n"
    third.open(b"head\n")
    third.finish()
    third.close()
    assert (tmp_path / "out.csv").read_bytes() == b"head\n"


def test_tables_become_parquet_with_the_columns_that_are_kept(run: RunFolder, tiny: Tiny, tmp_path: Path) -> None:
    process = start(run, str(tiny.reviews), "--keep", "label", "--scores", "-o", "out.parquet", folder=tmp_path)
    process.communicate(timeout=300)
    assert process.returncode == 0
    table = parquet.read_table(tmp_path / "out.parquet")
    scores = ["probability_negative", "probability_positive"]
    assert table.column_names == ["input", "label", "answer", "probability", *scores, "error"]
    rows = list(csv.DictReader(tiny.reviews.open(encoding="utf-8")))
    assert table["input"].to_pylist() == [row["text"] for row in rows]
    assert table["label"].to_pylist() == [row["label"] for row in rows]
    [result] = {tuple(map(str, table.schema.types))}
    assert result == ("string", "string", "string", "float", "float", "float", "string")
    assert {path.name for path in tmp_path.iterdir() if "out" in path.name} == {"out.parquet"}


def test_wrong_arguments_are_refused_before_anything_is_loaded(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = {
        ("none.csv",): "there is no file or folder 'none.csv'",
        ("-", "-"): "'-' is given more than once",
        ("/dev/null",): "'/dev/null' is a pipe or a device; redirect it to standard input",
        ("-", "-o", "out.xlsx"): "does not end in .csv, .jsonl or .parquet",
        ("-", "-o", "none/out.csv"): "there is no folder 'none' for out.csv",
        ("a.csv", "-o", "a.csv"): "'a.csv' is an input too, which --output would replace",
        ("a.csv", "--encoding", "latin-x"): "--encoding: there is no encoding 'latin-x'; did you mean 'latin-1'?",
    }
    (tmp_path / "a.csv").write_text("text\nfine\n")
    for arguments, message in wrong.items():
        done = CliRunner().invoke(app.app, ["predict", str(run.folder), *arguments])
        assert done.exit_code == 2
        assert message in done.stderr
        assert "Keras" not in done.stderr
