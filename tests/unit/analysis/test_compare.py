"""Runs side by side: which ones can be compared, what differs, and what is said of it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ftapp.analysis import compare
from ftapp.analysis.compare import Comparison
from ftapp.analysis.records import Arm, find_differences, read_arms, read_record
from ftapp.cli import app
from ftapp.common.errors import RecipeError
from ftapp.report import comparison
from ftapp.runs import run_lookup
from ftapp.runs.run_folder import RunFolder
from tests.support.recorded_runs import record_run

FALLING = (2 * np.exp(-np.linspace(0, 3, 60)) + np.random.default_rng(0).normal(0, 0.1, 60)).tolist()


def against(a: RunFolder, b: RunFolder) -> Comparison:
    """B against A, a run each."""
    one, other = read_arms([a, b])
    return compare.compare_arms(one, other)


def test_recipes_that_differ_are_told_apart_by_key(tmp_path: Path) -> None:
    found = read_arms([record_run(tmp_path), record_run(tmp_path, "phase.finetune.learning_rate=1e-4")])
    assert [each.name for each in found] == ["A bert-full", "B bert-full"]
    assert find_differences(found) == {"phase.finetune.learning_rate": [3e-5, 1e-4]}


def test_arms_with_letters_of_their_own_keep_them(tmp_path: Path) -> None:
    def named(*arms: str) -> list[str]:
        found = []
        for arm in arms:
            found.append(record_run(tmp_path))
            facts = found[-1].folder / "environment.json"
            facts.write_text(json.dumps({**json.loads(facts.read_text()), "arm": arm}))
        return [each.name for each in read_arms(found)]

    assert named("A full", "B targeted") == ["A full", "B targeted"]
    assert named("B targeted", "A full") == ["B targeted", "A full"]
    assert named("A full", "A full again") == ["A full", "B full again"]
    assert named("A full", "targeted") == ["A full", "B targeted"]


def test_runs_of_the_same_batches_are_compared_step_by_step(tmp_path: Path) -> None:
    a = record_run(tmp_path, losses=FALLING, seconds=0.4)
    b = record_run(
        tmp_path,
        'phase.finetune.layers=["freeze attention"]',
        losses=[x + 0.5 for x in FALLING],
        seconds=0.2,
        accuracy=0.3,
    )
    found = against(a, b)
    assert found.loss is not None
    assert found.loss.low <= 0.5 <= found.loss.high
    assert found.under is not None
    assert found.under.estimate == 1
    assert found.saved is not None
    # 57 steps after the first three, at 0.4 and 0.2 s, and half a second for features in both
    assert found.saved.estimate == pytest.approx(1 - (57 * 0.2 + 0.5) / (57 * 0.4 + 0.5))
    assert found.metrics["accuracy"].high < 0
    assert [line.partition(" ")[0] for line in found.verdicts] == ["B", "Whether", "B", "B"]
    assert found.reasons == {}


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("seed=1", "did not see the same batches: seed differ"),
        ("data.limit=500", "did not see the same batches: data.limit differ"),
        ("phase.finetune.batch_size=8", "phase.finetune.batch_size differ"),
        ("model.head=linear-svm", "losses of different kinds"),
        ("balance.class_weights={ good = 2.0 }", "losses of different kinds: balance.class_weights"),
        ("model.label_smoothing=0.1", "losses of different kinds: model.label_smoothing differs"),
    ],
)
def test_losses_of_other_batches_are_not_paired(override: str, reason: str, tmp_path: Path) -> None:
    found = against(record_run(tmp_path), record_run(tmp_path, override))
    assert found.loss is None
    assert reason in found.reasons["loss"]
    assert found.saved is not None
    assert not any("training loss" in line for line in found.verdicts)


def test_results_of_other_tasks_and_classes_are_not_compared(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\n")
    source = f"data.source=csv:{tmp_path}/x.csv"
    a, b = record_run(tmp_path, source), record_run(tmp_path, source, "task=text-multi-label")
    found = against(a, b)
    assert (found.metrics, found.reasons["accuracy"]) == ({}, "the runs have different tasks")
    b = record_run(tmp_path, source)
    b.events_file.write_bytes(b.events_file.read_bytes().replace(b'["bad","good"]', b'["cat","dog"]'))
    found = against(a, b)
    assert (found.metrics, found.reasons["accuracy"]) == ({}, "the runs have different classes")


def test_results_on_data_of_other_sources_have_a_caveat(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\n")
    found = against(record_run(tmp_path), record_run(tmp_path, f"data.source=csv:{tmp_path}/x.csv"))
    said = "the runs may be tested on different data: data.source differs"
    assert found.metrics.keys() == found.caveats.keys() == {"accuracy"}
    assert found.caveats["accuracy"] == said
    assert found.verdicts[-1] == f"T{said[1:]}."


def test_times_of_different_machines_are_not_compared(tmp_path: Path) -> None:
    a, b = record_run(tmp_path), record_run(tmp_path)
    file = b.folder / "environment.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"processor": "another"}), encoding="utf-8")
    found = against(a, b)
    assert found.saved is None
    assert "different machines" in found.reasons["saved"]


def test_times_of_runs_that_shared_the_machine_are_not_compared(tmp_path: Path) -> None:
    found = against(record_run(tmp_path, others=0.02), record_run(tmp_path, others=0.4))
    assert found.saved is not None
    report = "other processes took 2% and 40% of the cores' time while the runs trained, so it is only approximate"
    assert found.caveats["saved"] == report
    assert any(verdict.endswith(f"O{report[1:]}.") for verdict in found.verdicts)
    quiet = against(record_run(tmp_path, others=0.02), record_run(tmp_path))
    assert quiet.saved is not None
    assert quiet.caveats == {}


def test_an_arm_of_more_steps_takes_their_time(tmp_path: Path) -> None:
    a, b = record_run(tmp_path, losses=FALLING), record_run(tmp_path, "phase.finetune.steps=117", losses=FALLING * 2)
    found = against(a, b)
    assert found.saved is not None
    # 117 steps after the first three against 57, at 0.2 s, and half a second for features in both
    assert found.saved.estimate == pytest.approx(1 - (117 * 0.2 + 0.5) / (57 * 0.2 + 0.5))


def test_arms_that_begin_alike_are_not_called_unsteady(tmp_path: Path) -> None:
    a, b = (
        record_run(tmp_path, losses=FALLING),
        record_run(tmp_path, losses=[*FALLING[:20], *(x + 1 for x in FALLING[20:])]),
    )
    found = against(a, b)
    assert found.variance is None
    assert not any("steadier" in line for line in found.verdicts)


def test_a_run_that_failed_is_told_with_what_it_shows(tmp_path: Path) -> None:
    found = against(record_run(tmp_path, losses=FALLING), record_run(tmp_path, losses=FALLING[:9], status="failed"))
    assert found.verdicts[0] == "B bert-full is failed: what is said of steps is of those that both have made."


def test_one_step_has_no_interval(tmp_path: Path) -> None:
    found = against(*(record_run(tmp_path, losses=[loss]) for loss in (3.0, 2.0)))
    assert (found.loss, found.under, found.variance, found.saved) == (None,) * 4
    assert found.reasons["loss"] == "losses are of 2 steps or more"


def test_three_repeats_speak_of_seeds(tmp_path: Path) -> None:
    arms = []
    for shift in (0.0, 0.2):
        repeats = [
            record_run(tmp_path, f"seed={seed}", losses=[x + shift + shift * seed / 10 for x in FALLING])
            for seed in range(3)
        ]
        arms.append(Arm("A" if not shift else "B", tuple(map(read_record, repeats))))
    found = compare.compare_arms(*arms)
    assert found.loss is not None
    assert found.loss.of_seeds
    assert found.loss.estimate == pytest.approx(0.22)
    assert "over 3 seeds" in found.verdicts[0]


@pytest.mark.parametrize(("examples", "is_told"), [(1, False), (2, True)])
def test_accuracies_that_differ_by_one_example_over_all_seeds_may_be_the_same(
    examples: int, is_told: bool, tmp_path: Path
) -> None:
    arms = []
    for name, shift in (("A", 0.0), ("B", examples / 100)):
        repeats = [record_run(tmp_path, f"seed={seed}", accuracy=0.8 + seed / 100 + shift) for seed in range(3)]
        arms.append(Arm(name, tuple(map(read_record, repeats))))
    found = compare.compare_arms(*arms).metrics["accuracy"]
    assert found.estimate == pytest.approx(examples / 100)
    assert found.contains(0) is not is_told


def test_a_run_that_crashed_or_never_trained_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    whole, crashed = record_run(tmp_path), record_run(tmp_path, status=None, losses=[3.0])
    empty = record_run(tmp_path)
    empty.events_file.write_bytes(b"")
    (empty.folder / "recipe.toml").write_text("not toml", encoding="utf-8")
    found = read_arms([whole, crashed, empty])
    assert [arm.records[0].status for arm in found] == ["done", "crashed", "crashed"]
    made = compare.build_table(found)
    assert made["comparisons"][1]["reasons"]["loss"] == "a run made no steps"
    assert comparison.write(found, tmp_path / "page.html").is_file()


def test_runs_are_found_by_name_beginning_and_age(tmp_path: Path) -> None:
    made = record_run(tmp_path)
    name = made.folder.name
    assert (
        run_lookup.find(name, tmp_path)
        == run_lookup.find(name[:-2], tmp_path)
        == run_lookup.find("last", tmp_path)
        == made
    )
    assert run_lookup.find(str(made.folder), tmp_path / "elsewhere") == made
    record_run(tmp_path)
    with pytest.raises(RecipeError, match="is the beginning of 2"):
        run_lookup.find(name[:2], tmp_path)
    with pytest.raises(RecipeError, match="there is no run 'x'"):
        run_lookup.find("x", tmp_path)


def test_the_command_prints_a_table_json_and_csv(tmp_path: Path) -> None:
    folders = [
        str(record_run(tmp_path).folder),
        str(record_run(tmp_path, 'phase.finetune.layers=["freeze attention"]', accuracy=0.9).folder),
    ]
    invoke = CliRunner().invoke
    done = invoke(app.app, ["compare", *folders])
    assert done.exit_code == 0
    assert "80.00%" in done.stdout
    assert "freeze attention" in done.stdout
    assert "B bert-full and A bert-full have the same training loss" in done.stdout
    assert json.loads(invoke(app.app, ["compare", *folders, "--json"]).stdout)["runs"][1]["test_accuracy"] == 0.9
    rows = list(csv.DictReader(io.StringIO(invoke(app.app, ["compare", *folders, "--csv"]).stdout)))
    assert [row["test_accuracy"] for row in rows] == ["0.8", "0.9"]
    assert rows[1]["phase.finetune.layers"] == "freeze attention"
    assert invoke(app.app, ["compare", folders[0]]).exit_code == 2
    assert invoke(app.app, ["compare", *folders, "--json", "--csv"]).exit_code == 2
    assert invoke(app.app, ["compare", folders[0], "nowhere"]).exit_code == 2
