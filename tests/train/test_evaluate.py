"""`ftapp evaluate` with tiny runs: the run's own result to the last digit, and what other data give."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ftapp.analysis.statistics import estimate_over_examples, estimate_share
from ftapp.api.evaluations import describe
from ftapp.cli import app, evaluation_text
from ftapp.common.errors import RecipeError
from ftapp.runs.history import History
from tests.conftest import Do
from tests.support.predictions import measure
from tests.support.presets import Tiny
from tests.support.recipes import HEAD_ALONE, without_samples

SETS = {
    "text": ("precision=bfloat16",),
    "image": (),  # on cached features
    "lm": ("precision=bfloat16",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_evaluating_again_gives_the_result_of_the_run_to_the_last_digit(
    name: str, request: pytest.FixtureRequest, do: Do
) -> None:
    text = without_samples(request.getfixturevalue(f"{name}_recipe"))
    code, history, run = do(text, *SETS[name])
    assert code == 0
    found = measure(run)
    result = json.loads(json.dumps(describe(run, None, found)))
    keys = "run source examples metrics baseline classes confusion labels equal_to_run seen_in_training notes"
    assert list(result) == keys.split()
    assert result["equal_to_run"] is True
    again = History.of(found.events)
    assert history.result is not None
    assert again.result is not None
    assert (again.result.loss, again.result.metrics) == (history.result.loss, history.result.metrics)
    assert [each.counts for each in again.confusions] == [each.counts for each in history.confusions if each.final]


def test_other_data_are_measured_with_intervals_and_seen_examples(
    text_recipe: str, do: Do, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, history, run = do(text_recipe, HEAD_ALONE)
    rows = list(csv.DictReader(tiny.reviews.open(encoding="utf-8")))
    table = tmp_path / "other.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("review", "stars"), *((row["text"], row["label"]) for row in rows)])
    columns = ["data.text_column=review", "data.label_column=stars"]
    found = measure(run, f"csv:{table}", columns)
    result = describe(run, f"csv:{table}", found)
    assert history.data is not None
    assert result["examples"] == len(rows)
    assert result["seen_in_training"] == history.data.train
    assert result["baseline"]["answer"] == "always 'negative'"
    counts = np.array(result["confusion"])
    assert counts.sum() == len(rows)
    share = estimate_share(int(np.trace(counts)), len(rows))
    assert result["metrics"]["accuracy"] == {"value": share.estimate, "low": share.low, "high": share.high}
    evaluation_text.print_evaluation(run, f"csv:{table}", found)
    printed = capsys.readouterr().out
    assert f"{history.data.train} of these examples are among those that the run has trained on" in printed
    table.write_text("review,stars\nfine,positive\nso so,neutral\n")
    with pytest.raises(RecipeError, match="the label 'neutral' is none of the model's classes") as refused:
        measure(run, f"csv:{table}", columns)
    assert "data.classes" not in str(refused.value)
    table.write_text("review,stars\nfine,positive\ngood,positive\n")  # not all classes need to occur
    assert describe(run, "", measure(run, f"csv:{table}", columns))["examples"] == 2
    with pytest.raises(RecipeError, match="the source has no split 'test'; it has no splits of its own; or name all"):
        measure(run, f"csv:{table}", columns, split="test")
    # Another table in the place of the run's own, as if its rows had changed since the run.
    recipe = run.recipe_file.read_text(encoding="utf-8").replace(str(tiny.reviews), str(table))
    run.recipe_file.write_text(recipe, encoding="utf-8")
    lines = tiny.reviews.read_text(encoding="utf-8").splitlines()
    for changed, words in (
        ([lines[0], *reversed(lines[1:])], "its test split had other examples"),
        ([lines[0], *lines[3:], *lines[1:3]], "its test split had other examples"),  # of the same classes in each row
        (lines[:-20], f"train {history.data.train} ("),
    ):
        table.write_text("\n".join(changed) + "\n", encoding="utf-8")
        [note] = describe(run, None, measure(run))["notes"]
        assert note.startswith(f"the data have changed since the run: {words}")
        assert note.endswith("the run may have trained on some of these examples")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "model.head=linear-svm"], "only keys of [data] say how a source is read"),
        (["--source", "csv:x.csv", "--set", "data.classes=[1]"], "the classes are those of the model"),
        (["--split", "test"], "--split and --set are about other data, and no --source is given"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app.app, ["evaluate", "last", *arguments])
    assert done.exit_code == 2
    assert message in done.output


def test_the_bootstrap_finds_the_interval_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    found = estimate_over_examples(lambda drawn: {"mean": float(values[drawn].mean())}, 400, draws=2000)["mean"]
    assert found.estimate == values.mean()
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)
    undefined = estimate_over_examples(lambda drawn: {} if drawn[0] else {"first": 1.0}, 3)
    assert undefined == {}
