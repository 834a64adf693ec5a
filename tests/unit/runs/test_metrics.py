"""Metrics of any name go through events, histories, lists, comparisons, reports and the words of a run."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from ftapp.analysis import compare
from ftapp.analysis.records import Arm, Record, measure_run, read_record
from ftapp.cli.app import app
from ftapp.experiments.listing import summarize
from ftapp.report import card, comparison
from ftapp.report.run import write
from ftapp.runs import narration, result_warnings
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_reader import EventReader, decode, read
from ftapp.runs.events import AnyEvent, RunEnded
from ftapp.runs.history import Follower, History
from ftapp.runs.phase_events import Evaluated, Stepped
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.steps import Steps
from tests.support.files import FIXTURES
from tests.support.recorded_runs import record_run

OLDER = FIXTURES / "older_runs"


def step(number: int, **metrics: float) -> Stepped:
    return Stepped(
        time=float(number), step=number, epoch=1, loss=1 / number, metrics=metrics, rate=0.1, seconds=0.1, memory=1
    )


def evaluated(number: int, loss: float, *, final: bool = False, **metrics: float) -> Evaluated:
    return Evaluated(
        time=9.0, step=number, split="test", examples=50, loss=loss, metrics=metrics, seconds=0.1, final=final
    )


def other_run(folder: Path, f1: float = 0.75, error: float = 12.5) -> RunFolder:
    """A run that measures no accuracy."""
    run = record_run(folder, accuracy=None, status=None)
    log = EventLog(run.events_file)
    log.write(step(7, f1=0.5, mean_absolute_error=20.0))
    log.write(evaluated(7, 1.0, f1=0.5, mean_absolute_error=20.0))
    log.write(evaluated(7, 1.0, final=True, f1=f1, mean_absolute_error=error))
    log.write(RunEnded(time=10.0, status="done", steps=7, seconds=3.0))
    return run


@pytest.mark.parametrize("name", ["image", "text", "lm"])
def test_runs_of_earlier_versions_have_their_accuracy_among_their_metrics(name: str, tmp_path: Path) -> None:
    run = RunFolder(shutil.copytree(OLDER / name, tmp_path / name))
    lines = [json.loads(line) for line in run.events_file.read_bytes().splitlines()]
    expected = [line.get("accuracy") for line in lines if line["event"] in ("step", "evaluated")]
    assert (expected[0] is None) is (name == "lm")
    found = [event for event in read(run.events_file) if isinstance(event, Stepped | Evaluated)]
    assert [event.metrics for event in found] == [{} if value is None else {"accuracy": value} for value in expected]
    history = run.history()
    assert (history.damaged, history.metrics) == (0, [] if name == "lm" else ["accuracy"])
    assert list(history.steps) == [event for event in found if isinstance(event, Stepped)]
    assert set(history.summary()["metrics"]) == {"loss"} | set(history.metrics)
    assert summarize(run).metrics == history.summary()["metrics"]
    assert (run.folder / write(read_record(run)).name).is_file()


def test_lines_of_several_versions_are_read_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    older = b'{"event":"step","time":1,"step":1,"epoch":1,"loss":0.5,"accuracy":0.25,"rate":1,"seconds":1,"memory":1}\n'
    later = (
        b'{"event":"step","time":2,"step":2,"epoch":1,"loss":0.5,"metrics":{"f1":0.5},"rate":1,"seconds":1,"memory":1'
    )
    path.write_bytes(older + later + b',"new":[1]}\n{"event":"step","accuracy":7}\n')
    EventLog(path).write(step(3, accuracy=0.75))
    reader = EventReader(path)
    found = [event.metrics for event in reader.read() if isinstance(event, Stepped)]
    assert (found, reader.damaged) == ([{"accuracy": 0.25}, {"f1": 0.5}, {"accuracy": 0.75}], 1)
    assert History.of_file(path).metrics == ["accuracy", "f1"]


def test_long_files_are_read_alike_in_pieces_whatever_metrics_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    kinds: list[dict[str, float]] = [
        {"accuracy": 0.5},
        {"accuracy": 0.25, "f1": 0.5},
        {},
        {"a b-c": 1.0},
        {"f1": 0.125},
    ]
    for number in range(1, 301):
        log.write(step(number, **kinds[number // 60 % 5]))
        if number % 50 == 0:
            log.write(evaluated(number, 1.0, f1=0.5))
        if number % 70 == 0:
            with path.open("ab") as file:
                file.write(f'{{"event":"step","time":1,"step":{number},"epoch":1,"loss":1,"accuracy":0.75,'.encode())
                file.write(b'"rate":1,"seconds":1,"memory":1}\n{"event":"step","metrics":{"f1":2}}\n')
    expected = read(path)
    follower = Follower(path)
    while follower.advance(3000):
        pass
    assert list(follower.history.steps) == [event for event in expected if isinstance(event, Stepped)]
    assert follower.history.evaluations == [event for event in expected if isinstance(event, Evaluated)]
    assert follower.history.damaged == 4
    assert History.of_file(path).summary() == follower.history.summary()


@pytest.mark.parametrize("damage", ['{"f1":1e41}', '{"f1":null}', '{"f1":"0.5"}', '{"":0.5}', "[0.5]", '{"f1":{}}'])
def test_metrics_that_are_no_numbers_by_name_are_damage(damage: str) -> None:
    line = msgspec.json.encode(step(1, f1=0.5)).replace(b'{"f1":0.5}', damage.encode())
    assert decode(line) is None


def test_columns_of_metrics_are_nan_where_a_step_has_none() -> None:
    steps = Steps()
    steps.extend([step(1)])
    steps.extend([step(2, f1=0.5), step(3, f1=0.6)])
    steps.extend([step(4, recall=0.1), step(5, f1=0.7, recall=0.2)])
    nan = math.nan
    assert steps.metrics == ["f1", "recall"]
    assert list(steps.column("f1")) == pytest.approx([nan, 0.5, 0.6, nan, 0.7], nan_ok=True)
    assert list(steps.column("recall")) == pytest.approx([nan, nan, nan, 0.1, 0.2], nan_ok=True)
    assert list(steps.column("accuracy")) == pytest.approx([nan] * 5, nan_ok=True)
    assert steps[-2:] == [step(4, recall=0.1), step(5, f1=0.7, recall=0.2)]


def test_a_damaged_file_makes_no_column_for_each_of_many_names() -> None:
    steps = Steps()
    steps.extend([step(number, **{f"metric_{number}": 1.0}) for number in range(1, 200)])
    assert (len(steps), len(steps.metrics) < 50) == (199, True)


def test_narration_and_lists_tell_metrics_by_their_names(tmp_path: Path) -> None:
    run = other_run(tmp_path)
    lines = [line for event in run.history().happened() for line in narration.narrate(event)]
    assert "result: test loss 1.0000, f1 0.7500, mean absolute error 12.5000 on 50 examples" in lines
    assert summarize(run).metrics == {"loss": 1.0, "f1": 0.75, "mean_absolute_error": 12.5}
    listed = CliRunner().invoke(app, ["runs", "--runs-dir", str(tmp_path)], env={"COLUMNS": "200"})
    assert "mean absolute error" in listed.output
    assert "12.5000" in listed.output


def test_reports_and_cards_show_metrics_by_their_names(tmp_path: Path) -> None:
    one = read_record(other_run(tmp_path))
    page = write(one).read_text("utf-8")
    for text in ("Test mean absolute error", "Mean absolute error", "F1"):
        assert text in page
    assert "- Accuracy:" not in card.write_card_text(one)
    assert "- Mean absolute error: 12.5000" in card.write_card_text(one)


def test_comparisons_have_a_row_for_each_metric_and_verdicts_of_repeats(tmp_path: Path) -> None:
    runs: dict[str, list[Record]] = {"a": [], "b": []}
    for number in range(3):
        for name, error in (("a", 12.5), ("b", 2.0)):
            folder = tmp_path / f"{name}{number}"
            runs[name].append(read_record(other_run(folder, error=error + 0.1 * number)))
    a, b = (Arm(name, tuple(found)) for name, found in runs.items())
    assert measure_run(a.records[0])["test_mean_absolute_error"] == 12.5
    found = compare.compare_arms(a, b)
    assert found.metrics["mean_absolute_error"].estimate == pytest.approx(-10.5)
    assert found.table()["accuracy"] is None
    assert any("test mean absolute error" in verdict for verdict in found.verdicts)
    rows = {row[0]: row[1:] for row in comparison.list_metrics([a, b])}
    assert rows["test mean absolute error"][0].startswith("12.6000")


def test_a_metric_that_stays_good_excuses_a_risen_loss() -> None:
    def course(*errors: float) -> History:
        events: list[AnyEvent] = [step(number) for number in range(1, 40)]
        events.append(evaluated(0, 2.0, mean_absolute_error=9.0))
        losses = (1.0, 0.5, 0.7, 0.8, 0.9)
        for number, (loss, error) in enumerate(zip(losses, errors, strict=True), 1):
            events.append(evaluated(7 * number, loss, mean_absolute_error=error))
        return History.of([*events, RunEnded(time=10.0, status="done", steps=40, seconds=1.0)])

    def ids(history: History) -> set[str]:
        return {each.id for each in result_warnings.find_warnings(history)}

    assert "overfitting" not in ids(course(9.0, 5.0, 4.0, 3.0, 2.0))
    assert "overfitting" in ids(course(9.0, 5.0, 6.0, 7.0, 8.0))
