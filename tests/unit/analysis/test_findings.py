"""Findings: what is measured of them, when they hold, and which are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ftapp import recipe
from ftapp.analysis import findings
from ftapp.analysis.records import Arm, read_record
from ftapp.analysis.statistics import Interval
from ftapp.common.errors import RecipeError
from ftapp.experiments import experiment_creation
from ftapp.experiments.arms import Round
from ftapp.recipe import Finding
from ftapp.recipe.metrics import Metric
from ftapp.report.experiment import write_result
from ftapp.runs.event_log import EventLog
from ftapp.runs.phase_events import Drifted
from tests.support.recorded_runs import record_run

FALLING = (2 * np.exp(-np.linspace(0, 3, 60)) + np.random.default_rng(0).normal(0, 0.1, 60)).tolist()

RECIPE = """
[[arm]]
name = "A"
[[arm]]
name = "B"
phase.finetune.layers = ["freeze attention"]
[[finding]]
says = "the loss stays above"
lesson = "L_B > L_A"
measure = "loss"
arm = "B"
against = "A"
at_least = 0.0
[[finding]]
says = "half of the parameters train"
lesson = "R = 0.5"
measure = "trainable-share"
arm = "B"
at_least = 0.9
"""


def finding(measure: str, **keys: object) -> Finding:
    return Finding.model_validate({"says": "s", "lesson": "l", "measure": measure, "arm": "B", "at_least": 0.0} | keys)


def arms(folder: Path) -> tuple[Arm, Arm]:
    """A, and B with a loss that is half a point higher and steps that take half the time."""
    a = record_run(folder, losses=FALLING, seconds=0.4)
    b = record_run(folder, losses=[loss + 0.5 for loss in FALLING], seconds=0.2, accuracy=0.6)
    return Arm("A", (read_record(a),)), Arm("B", (read_record(b),))


@pytest.mark.parametrize(
    ("found", "bounds", "message"),
    [
        ((0.1, 0.3), {"at_least": 0.0}, "yes"),
        ((-0.1, 0.3), {"at_least": 0.0}, "cannot be told"),
        ((-0.3, -0.1), {"at_least": 0.0}, "no"),
        ((-0.05, 0.05), {"at_least": -0.1, "at_most": 0.1}, "yes"),
        ((0.05, 0.2), {"at_least": -0.1, "at_most": 0.1}, "cannot be told"),
        ((0.2, 0.3), {"at_least": -0.1, "at_most": 0.1}, "no"),
    ],
)
def test_a_finding_holds_when_its_interval_does(
    found: tuple[float, float], bounds: dict[str, float], message: str
) -> None:
    made = Finding.model_validate({"says": "s", "lesson": "l", "measure": "trainable-share", "arm": "B"} | bounds)
    assert findings.judge(made, Interval(sum(found) / 2, *found)) == message


@pytest.mark.parametrize(
    ("measure", "keys", "value"),
    [
        ("loss", {"against": "A"}, 0.5),
        ("accuracy", {"against": "A"}, -0.2),
        ("time-saved", {"against": "A"}, 1 - (57 * 0.2 + 0.5) / (57 * 0.4 + 0.5)),
        ("variance", {"against": "A"}, 1.0),
        ("early-variance", {"against": "A"}, 1.0),
        ("drift", {"against": "A"}, 1.0),
        ("trainable-share", {}, 0.52),
        ("accuracy-after", {"step": 60}, 0.6),
    ],
)
def test_measures(measure: str, keys: dict[str, object], value: float, tmp_path: Path) -> None:
    a, b = arms(tmp_path)
    found = findings.measure(finding(measure, **keys), b, a)
    assert found is not None
    assert found.estimate == pytest.approx(value)
    assert found.low <= found.estimate <= found.high


@pytest.mark.parametrize(
    ("measure", "keys", "why"),
    [
        ("common-tokens", {}, "did not measure the common tokens"),
        ("drift-course", {}, "was measured in fewer than"),
        ("accuracy-after", {"step": 7}, "no held-out accuracy after step 7"),
        ("loss", {"against": "C"}, "no run of 'C' is there"),
    ],
)
def test_what_a_run_does_not_tell_is_not_measured_and_said_why(
    measure: str, keys: dict[str, object], why: str, tmp_path: Path
) -> None:
    a, b = arms(tmp_path)
    (row,) = findings.check_findings([finding(measure, **keys)], [a, b])
    assert (row.ours, row.holds) == ("not measured", "not measured")
    assert why in (row.note or "")
    assert findings.build_table([row])[0][3] == f"not measured: {row.note}"


@pytest.mark.parametrize(("runs", "message"), [(1, None), (3, pytest.approx(0.6))])
def test_a_metric_that_is_no_proportion_has_an_interval_over_repeats(
    runs: int, message: float | None, tmp_path: Path
) -> None:
    """The records hold values that stand for any metric; one run alone shows no scatter."""
    records = [read_record(record_run(tmp_path, losses=FALLING, accuracy=0.5 + 0.1 * n)) for n in range(runs)]
    metric = Metric("accuracy", "error in degrees", is_lower_better=True)
    found = findings.measure_after(metric, 60, Arm("B", tuple(records)))
    assert (found and found.estimate) == message


def test_a_busy_machine_is_a_caveat_of_the_time_saved(tmp_path: Path) -> None:
    a = record_run(tmp_path, losses=FALLING, seconds=0.4, others=0.63)
    b = record_run(tmp_path, losses=FALLING, seconds=0.2, others=0.5)
    (row,) = findings.check_findings(
        [finding("time-saved", against="A")], [Arm("A", (read_record(a),)), Arm("B", (read_record(b),))]
    )
    assert (row.holds, row.ours[:5]) == ("yes", "48.9%")
    assert row.note is not None
    assert "other processes took 63% and 50% of the cores' time" in row.note


@pytest.mark.parametrize(
    ("measure", "keys", "message"),
    [
        ("loss", {"against": "A", "at_most": 0.1, "at_least": -0.1}, "-0.1 to 0.1"),
        ("loss", {"against": "A"}, "at least 0"),
        ("accuracy", {"against": "A", "at_least": -0.02, "at_most": 0.02}, "-2.0 to 2.0 points"),
        ("time-saved", {"against": "A", "at_least": None, "at_most": 0.25}, "at most 25.0%"),
    ],
)
def test_a_finding_says_between_which_bounds_it_holds(measure: str, keys: dict[str, object], message: str) -> None:
    assert findings.Row(finding(measure, **keys), None, "not measured").bounds == message


def test_a_run_that_failed_shows_no_finding(tmp_path: Path) -> None:
    a, b = arms(tmp_path)
    failed = read_record(record_run(tmp_path, losses=FALLING[:9], status="failed"))
    rows = findings.check_findings([finding("loss", against="A")] * 2, [a, Arm("B", (failed,))])
    assert {row.holds for row in rows} == {"not measured"}
    assert all(" is failed" in (row.note or "") for row in rows)
    assert findings.check_findings([finding("loss", against="A")], [a, b])[0].holds == "yes"


def test_the_course_of_the_drift_is_of_all_repeats(tmp_path: Path) -> None:
    """Each repeat's change halves from the first third of its measured steps to the last."""
    records = []
    for number in range(3):
        run = record_run(tmp_path)
        log = EventLog(run.events_file)
        for step in range(10, 19):
            moved = dict.fromkeys(("pooled_dense", "classifier"), (2.0 + number / 10) * 0.5 ** ((step - 10) // 3 / 2))
            log.write(Drifted(time=9, step=step, phase="finetune", since_start={**moved}, last_step=moved))
        records.append(read_record(run))
    found = findings.measure(finding("drift-course"), Arm("B", tuple(records)), Arm("B", tuple(records)))
    assert found is not None
    assert found.of_seeds
    one = findings.measure(finding("drift-course"), Arm("B", tuple(records[:1])), Arm("B", tuple(records[:1])))
    assert one is not None
    assert (one.repeats, one.of_seeds) == (1, False)
    assert one.low < one.estimate < one.high


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"at_least": None}, "neither 'at_least' nor 'at_most' is given; a finding has one of them or both"),
        ({}, "'loss' is of an arm 'against' another"),
        ({"measure": "trainable-share", "against": "A"}, "'trainable-share' is of one arm alone, without 'against'"),
        (
            {"measure": "accuracy-after"},
            "'accuracy-after' lacks 'step'; 'step' goes with measures such as 'accuracy-after' alone",
        ),
    ],
)
def test_findings_that_are_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Finding.model_validate({**finding("loss", against="A").model_dump(), "against": None} | keys)


def written(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    base = recipe.find("bert-full").read_text("utf-8").partition("[profile.quick]")[0]
    file.write_text(base + text, encoding="utf-8")
    return file


def test_a_finding_is_of_arms_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"finding\.0\.against: the recipe has no arm 'C' for a finding"):
        recipe.load(written(tmp_path, RECIPE.replace('against = "A"', 'against = "C"')))


def test_an_experiment_tells_what_holds(tmp_path: Path) -> None:
    loaded = recipe.load_experiment(written(tmp_path, RECIPE))
    experiment = experiment_creation.create("mine", None, loaded.to_toml(), ["A", "B"], 1, 1, tmp_path / "runs")
    for arm, losses in (("A", FALLING), ("B", [loss + 0.5 for loss in FALLING])):
        experiment.add(arm, Round(1), record_run(tmp_path / "runs", losses=losses, batches="b", digest="w"))
    _, result = write_result(experiment)
    assert [(row["says"], row["holds"]) for row in result["findings"]] == [
        ("the loss stays above", "yes"),
        ("half of the parameters train", "no"),
    ]
    assert result["findings"][1]["told"] == "52.0%"
    assert json.loads(experiment.result_file.read_text("utf-8"))["findings"] == result["findings"]
    page = experiment.report_file.read_text("utf-8")
    assert "L_B &gt; L_A" in page
    assert "holds?" in page
