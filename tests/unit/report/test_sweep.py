"""The result of a sweep: what it says, its page, and its lists."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from ftapp.cli import app
from ftapp.cli.run_experiment import print_experiment
from ftapp.common.errors import RecipeError
from ftapp.experiments import experiment_lookup
from ftapp.experiments.find_run import find_run
from ftapp.experiments.listing import Summaries
from ftapp.recipe.spaces import parse_space
from ftapp.report.experiment import write_result
from ftapp.report.parallel_coordinates import KeyAxis, draw_parallel
from tests.support.sweeps import FINALS, RATE, SEARCHED, make_sweep


def test_the_winner_is_named_with_the_words_that_use_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = make_sweep(tmp_path)
    print_experiment(sweep, as_json=False)
    printed = capsys.readouterr().out
    assert (
        "trial 1 beats the recipe's own values in validation accuracy by 10.0 points over 3 new seeds, 80.00% against "
        "70.00%, interval of the difference 7.5 to 12.5 points.\n"
    ) in printed
    assert "6 trials in 1 min 30 s, of which 1 failed, 1 pruned.\n" in printed
    assert f"--set {RATE}=0.0001 --set 'phase.finetune.layers=[\"train all\"]'\n" in printed
    assert printed.splitlines()[-1] == str(sweep.report_file)
    result = json.loads(sweep.result_file.read_text("utf-8"))["sweep"]
    with pytest.raises(RecipeError, match=f"such as that of its winner, {sweep.list_members()[1].run.folder.name}"):
        find_run(sweep.folder.name, tmp_path)
    assert (result["winner"], result["frontier"]) == ("trial 1", ["trial 4", "trial 1"])
    assert [each["status"] for each in result["trials"]] == [status for *_, status, _ in SEARCHED]
    assert "learning_rate" in sweep.report_file.read_text("utf-8")


def test_runs_of_the_search_do_not_count_for_the_winner(tmp_path: Path) -> None:
    """In the search, trial 1 was better by ten points; over new seeds it is not."""
    sweep = make_sweep(tmp_path, finals={**FINALS, "trial 1": (0.70, 0.65, 0.77)})
    arms, result = write_result(sweep)
    assert [len(arm.records) for arm in arms] == [3, 3]
    assert result["sweep"]["winner"] is None
    assert result["sweep"]["changes"] == []
    assert result["sweep"]["sentences"][0] == "No setting can be told to be better than the recipe's own values."


def test_a_search_that_found_nothing_better_compares_nothing(tmp_path: Path) -> None:
    arms, result = write_result(make_sweep(tmp_path, SEARCHED[:1] + SEARCHED[2:4], {}))
    assert arms == []
    assert result["sweep"]["sentences"][-1] == (
        "No trial has a better validation accuracy than the recipe's own values, 70.00%."
    )


def test_a_sweep_that_was_cut_off_says_how_it_goes_on(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, status="interrupted")
    _, result = write_result(sweep)
    assert result["sweep"]["sentences"][0] == (
        f"The sweep is interrupted, so the best trials are not compared; 'ftapp sweep --resume {sweep.folder.name}' "
        "goes on."
    )


def test_a_sweep_without_a_result_has_no_table_and_is_not_to_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = make_sweep(tmp_path, [(1e-3, ["train all"], None, "failed", 0.2)], {}, status="failed")
    print_experiment(sweep, as_json=False)
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first == "1 trial in 1 min 30 s, of which 1 failed."
    assert second == "No trial has a result."


@pytest.mark.parametrize(("status", "expected"), [("done", "done"), ("interrupted", "interrupted"), (None, "crashed")])
def test_a_list_shows_the_status_of_the_sweep_and_not_of_its_trials(
    tmp_path: Path, status: str | None, expected: str
) -> None:
    sweep = make_sweep(tmp_path, status=status)
    write_result(sweep)
    (found,) = experiment_lookup.list_experiments(tmp_path)
    summary = Summaries(tmp_path).sum_up(found)
    assert (summary.status, summary.ended, summary.planned) == (expected, 12, 12)
    listed = CliRunner().invoke(app.app, ["runs", "--runs-dir", str(tmp_path), "--json", "--where", "status=pruned"])
    assert len(listed.output.splitlines()) == 1, listed.output


def test_lines_over_axes_stay_on_the_plot() -> None:
    axes = [KeyAxis.of_space("rate", parse_space("log(1e-5, 1)")), KeyAxis.of_numbers("loss", [0.1, 0.1], str)]
    drawn = ElementTree.fromstring(draw_parallel(axes, [("a", [0.5, 0.0]), ("b", [float("nan"), 9.0])]))
    lines = [line.attrib["points"].replace(",", " ").split() for line in drawn.iter("polyline")]
    points = [float(part) for line in lines for part in line]
    assert len(points) == 8
    assert min(points) >= 0
    assert max(points) <= 420
