"""Folds of an arm together: means with corrected intervals, one result of all answers, and no comparison of folds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score
from typer.testing import CliRunner

from ftapp import recipe
from ftapp.analysis import compare, statistics
from ftapp.analysis.cross_validation import make_set_reader, pool_answers, summarize_folds
from ftapp.analysis.records import Arm, read_arms, read_experiment, read_record
from ftapp.cli import app
from ftapp.cli.run_experiment import print_comparison
from ftapp.data.examples import describe_set
from ftapp.experiments import experiment_creation
from ftapp.experiments.arms import list_rounds, schedule
from ftapp.experiments.experiment_folder import Experiment
from ftapp.report.experiment import write_result
from ftapp.runs.example_results import ExampleResult, ExampleResults, write_example_results
from ftapp.runs.run_folder import RunFolder
from tests.support.recorded_runs import record_run

FOLDS = 4


def keep_answers(run: RunFolder, answers: list[tuple[str, str]]) -> None:
    """Keep answers, each a label and what was said, as the run's test examples."""
    step = len(run.history().steps)
    found = [ExampleResult(example=f"row {at}", loss=at, truth=a, answer=b) for at, (a, b) in enumerate(answers)]
    write_example_results(run, ExampleResults(step, "test", len(found), "", found))


def make_experiment(folder: Path, *arms: str) -> Experiment:
    """An experiment of some arms on four folds, of which the second is better by two points on each."""
    loaded = recipe.load(recipe.find("bert-full"), None, [f"data.folds={FOLDS}"])
    made = experiment_creation.create("mine", None, loaded.to_toml(), arms, 1, 1, folder, command=[], folds=FOLDS)
    for of, arm in schedule(arms, list_rounds(1, FOLDS)):
        accuracy = 0.8 + of.fold / 100 + (0.02 if arm == "B" else 0)
        keys = f"data.folds={FOLDS}", f"data.fold={of.fold}"
        run = record_run(folder, *keys, accuracy=accuracy, batches=f"b{of.fold}", digest="w")
        right = round(100 * accuracy)
        keep_answers(run, [("bad", "bad")] * right + [("good", "bad")] * (100 - right))
        made.add(arm, of, run)
    return made


def test_the_mean_over_folds_has_the_corrected_interval(tmp_path: Path) -> None:
    (arm,) = read_experiment(make_experiment(tmp_path, "mine"))
    found = summarize_folds(arm)
    assert found is not None
    (accuracy,) = (each for each in found.metrics if each.name == "accuracy")
    values = [0.81, 0.82, 0.83, 0.84]
    # 100 test and 80 training examples; Nadeau & Bengio 2003, section 5
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) * np.sqrt(1 / 4 + 100 / 80)
    assert (accuracy.mean.estimate, accuracy.mean.high) == pytest.approx((0.825, 0.825 + half))
    assert accuracy.deviation == pytest.approx(np.std(values, ddof=1))
    assert accuracy.pooled == pytest.approx(0.825)
    assert accuracy.row()[:2] == ["accuracy", "82.50% ± 1.29%"]
    assert found.title == "mine over 4 folds, 400 test examples"
    assert (accuracy.mean.of_folds, accuracy.mean.of_seeds) == (True, False)
    plain = statistics.estimate_mean(values)
    assert plain.high - plain.low < (accuracy.mean.high - accuracy.mean.low) / 2


def test_folds_of_data_that_have_changed_give_no_result_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (arm,) = read_experiment(made := make_experiment(tmp_path, "mine"))
    changed = arm.records[2].run
    events = changed.events_file.read_bytes()
    changed.events_file.write_bytes(events.replace(b'"train":80', b'"train":95'))
    (arm,) = read_experiment(made)
    found = summarize_folds(arm)
    assert found is not None
    assert found.problem.startswith(
        "The data have changed between the folds: 180 examples in fold 1, and 195 in fold 3."
    )
    assert [each.pooled for each in found.metrics] == [None] * len(found.metrics)
    print_comparison([arm])
    assert "tested twice or never" in capsys.readouterr().out


def test_intervals_stay_within_the_bounds_of_a_metric(tmp_path: Path) -> None:
    (arm,) = read_experiment(make_experiment(tmp_path, "mine"))
    found = summarize_folds(arm)
    assert found is not None
    assert all(each.mean.low >= 0 for each in found.metrics)


def test_the_answers_of_all_folds_give_one_result(tmp_path: Path) -> None:
    runs = [record_run(tmp_path, "model.sequence_length=32") for _ in range(2)]
    answers = [[("bad", "good"), ("good", "good")], [("bad", "bad"), ("good", "good"), ("good", "bad")]]
    for run, kept in zip(runs, answers, strict=True):
        keep_answers(run, kept)
    records = [each for arm in read_arms(runs) for each in arm.records]
    found = pool_answers(records)
    truth, said = zip(*(pair for kept in answers for pair in kept), strict=True)
    assert found["accuracy"] == pytest.approx(0.6)
    assert found["macro-f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    assert found["loss"] == pytest.approx(np.mean([0, 1, 0, 1, 2]))
    runs[0].examples_file.unlink()
    assert pool_answers(records) == {}


def test_several_labels_and_numbers_of_all_folds_give_one_result(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("text,label\n")
    sets = record_run(tmp_path, "task=text-multi-label", f"data.source=csv:{file}")
    keep_answers(sets, [("bad, good", "good"), ("no label", "no label"), ("bad", "bad, good")])
    numbers = record_run(tmp_path, "task=text-regression", f"data.source=csv:{file}")
    keep_answers(numbers, [("1", "2"), ("5.5", "5.5"), ("-3e+06", "-3e+06")])
    first, second = (arm.records[0] for arm in read_arms([sets, numbers]))
    assert pool_answers([first])["micro-f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert pool_answers([second])["mae"] == pytest.approx(1 / 3)
    keep_answers(numbers, [("1", "many")])
    assert pool_answers([second]) == {}


def test_labels_are_read_as_they_are_written() -> None:
    classes = ("a", "b, c", "b", "no label", "'x'")
    read = make_set_reader(classes)
    for labels in ([True] * 5, [False] * 5, [True, False, True, False, True], [False, True, False, False, False]):
        assert read(describe_set(np.array(labels), classes)).tolist() == labels


def test_arms_are_paired_by_fold(tmp_path: Path) -> None:
    arms, result = write_result(make_experiment(tmp_path, "A", "B"))
    (found,) = result["comparisons"]
    assert found["accuracy"]["estimate"] == pytest.approx(0.02)
    assert found["accuracy"]["of_folds"]
    assert any("over 4 folds" in verdict for verdict in found["verdicts"])
    assert [each["title"] for each in result["folds"]] == [f"{arm} over 4 folds, 400 test examples" for arm in "AB"]
    assert arms[1].records[2].name == "B, fold 3"
    page = Path(result["report"]).read_text("utf-8")
    assert "A over 4 folds, 400 test examples" in page
    assert "Nadeau and Bengio (2003)" in page


def test_single_runs_of_folds_are_compared_as_one_arm(tmp_path: Path) -> None:
    runs = [member.run for member in make_experiment(tmp_path, "mine").list_members()]
    (arm,) = read_arms([runs[2], runs[0]])
    assert [each.round for each in arm.records] == ["fold 1", "fold 3"]
    found = summarize_folds(arm)
    assert found is not None
    assert found.title == "bert-full over 2 of 4 folds, 200 test examples"
    other = record_run(tmp_path, f"data.folds={FOLDS}", "data.fold=2", "seed=3")
    assert len(read_arms([runs[0], other])) == 2
    done = CliRunner().invoke(app.app, ["compare", *(str(run.folder) for run in runs), "--json"])
    assert [each["ended"] for each in json.loads(done.stdout)["folds"]] == [4]


def test_folds_are_not_compared_with_each_other(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, "mine")
    _, result = write_result(experiment)
    assert result["comparisons"] == []
    one, other = (member.run for member in experiment.list_members()[:2])
    ours, theirs = (Arm(name, (read_record(run),)) for name, run in (("A", one), ("B", other)))
    found = compare.compare_arms(ours, theirs)
    assert found.verdicts == []
    assert found.metrics == {}
    assert "the runs test on different folds, which are repeats of one job" in found.reasons["loss"]
    for command in ("compare", "report"):
        done = CliRunner().invoke(app.app, [command, experiment.folder.name, "--runs-dir", str(tmp_path)])
        assert "mine over 4 folds, 400 test examples" in done.stdout
        assert "82.50% ± 1.29%" in done.stdout
        assert "Nadeau and Bengio (2003)" in done.stdout
    done = CliRunner().invoke(app.app, ["errors", experiment.folder.name, "--csv", "--runs-dir", str(tmp_path)])
    rows = done.stdout.splitlines()[1:]
    assert len(rows) == 400
    assert [row.partition(",")[0] for row in rows[:5]] == [*["row 99"] * 4, "row 98"]
    done = CliRunner().invoke(app.app, ["runs", "--runs-dir", str(tmp_path)])
    assert "mine on 4 folds" in done.stdout
