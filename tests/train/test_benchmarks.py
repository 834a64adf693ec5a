"""The benchmarks: how their figures are made, and in their quick form that they run, without what needs downloads.

One of them runs in processes of its own, as users start it; of the others, what they measure with Keras runs in this
one, which has imported it.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.files import ROOT
from tests.support.quick_starts import make_command

BENCHMARKS = ROOT / "benchmarks"

Table = list[list[str]]
Run = Callable[..., Table]


@pytest.fixture
def run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_precision: None
) -> Run:
    """Runs a benchmark in its quick form, with its arms in this process and runs that start quickly."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import common

    monkeypatch.setattr(common, "make_module_command", make_command)

    def run_here(script: str, *options: str) -> Table:
        benchmark = importlib.import_module(script.removesuffix(".py"))

        def call(*arguments: str) -> str:
            monkeypatch.setattr(sys, "argv", [script, *quick(tmp_path), *options, *arguments])
            benchmark.main()
            return capsys.readouterr().out

        def measure(arm: str, scratch: Path) -> common.Figures:
            return {"wall": 1.0, **json.loads(call("--arm", arm).splitlines()[-1])}

        monkeypatch.setattr(common, "_in_child", measure)
        return cells(call())

    return run_here


def test_each_round_begins_with_another_arm_and_ratios_are_taken_within_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import common

    seconds = {"a": [1.0, 10.0, 2.0], "b": [2.0, 10.0, 8.0]}
    order: list[str] = []

    def measure(arm: str) -> common.Figures:
        order.append(arm)
        return {"seconds": seconds[arm].pop(0)}

    rounds = common.interleaved(["a", "b"], 3, measure)
    assert "".join(order) == "abbaab"
    assert rounds.median("b", "seconds") == 8.0
    # 2, 1 and 4; the ratio of the medians 8 and 2 would be another.
    assert rounds.ratio("b", "a", "seconds") == 2.0


@pytest.mark.slow
def test_both_ways_of_targeted_freezing_train_the_same_parameters_for_as_many_steps(run_here: Run) -> None:
    ours, plain = run_here("gpt2_targeted.py", "--epochs", "1", "--arms", "ftapp-B", "keras-B")
    assert ours[1:3] == plain[1:3]
    # 4 blocks of 4 * (32 * 32 + 32) attention parameters.
    assert ours[1] == "16,896"


@pytest.mark.slow
def test_the_overhead_is_measured_against_both_bare_loops(run_here: Run) -> None:
    rows = run_here("overhead.py")
    assert [row[1] for row in rows] == ["ftapp", "fit", "train_on_batch"]
    assert all(float(row[2]) > 0 for row in rows)


@pytest.mark.slow
def test_the_growth_of_the_cost_is_told_beside_the_first_run(run_here: Run) -> None:
    first, doubled = run_here("scaling.py", "--only", "images")
    assert first[3] == "1.00"
    assert doubled[1] == "epochs"


@pytest.mark.slow
def test_peak_memory_is_told_beside_that_of_a_forward_pass(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "memory.py"), *quick(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    rows = cells(done.stdout)
    assert [row[0] for row in rows] == ["forward", "ftapp"]
    assert all(float(row[1]) > 0 for row in rows)


@pytest.mark.slow
def test_what_runs_leave_behind_is_counted(run_here: Run) -> None:
    rows = {(row[0], row[1]): row[2:] for row in run_here("soak.py")}
    for what in ("2 runs", "a run of 200 steps"):
        assert int(rows[what, "threads"][0]) > 0
        # recipe, environment, events, control, log, status, lock, and what a run that goes on has not yet.
        assert int(rows[what, "files in the run's folder"][0]) >= 7
        assert rows[what, "files in the temporary folder"][:3] == ["0", "0", "0"]
        assert rows[what, "checkpoints too many"][:3] == ["0", "0", "0"]


@pytest.mark.slow
def test_the_time_to_a_list_to_the_first_line_and_to_the_model_is_told(
    run_here: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.import_module("start_up"), "make_module_command", make_command)
    rows = {row[0]: float(row[1].removesuffix(" s")) for row in run_here("start_up.py")}
    assert list(rows) == ["list", "list-first", "run to its first line", "run to its model"]
    assert 0 < rows["run to its first line"] < rows["run to its model"]
    assert [len(list(folder.iterdir())) for folder in tmp_path.glob("runs-*")] == [1]


def test_a_leak_is_told_from_what_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from soak import trace_course

    places = list(range(1, 101))
    # A thread that comes and goes, and a warm-up.
    threads = [3 if place < 4 else 9 + place % 2 for place in places]
    assert not trace_course(places, threads, is_memory=False).leaks
    # A handle is left open by every tenth run.
    assert trace_course(places, [5 + place // 10 for place in places], is_memory=False).leaks
    # Memory that grows by a megabyte a run from 900 on, and memory that grows at the beginning alone.
    growing = trace_course(places, [900 + place for place in places], is_memory=True)
    assert growing.leaks
    assert growing.slope == pytest.approx(1)
    assert not trace_course(places, [900 + min(place, 40) for place in places], is_memory=True).leaks


def quick(scratch: Path) -> list[str]:
    """The options of a benchmark in its quick form."""
    return ["--quick", "--precision", "float32", "--scratch", str(scratch)]


def cells(output: str) -> Table:
    """The cells of the table that a benchmark prints, by row, without the header."""
    table = output.partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_growth_keeps_the_newest_figure_of_each_size_and_draws_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import growth

    file = tmp_path / "growth.json"
    growth.keep([growth.Point("runs", "ftapp runs", size, size, size, 2**20) for size in (10, 100)], file)
    growth.keep([growth.Point("runs", "ftapp runs", 10, 3.0, 2.0, 2**20)], file)
    points = growth.load_points(file)
    assert [(each.size, each.seconds) for each in points] == [(10, 3.0), (100, 100)]
    growth.draw(points, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == [
        "growth-runs-memory.svg",
        "growth-runs-processor.svg",
    ]
    assert "ftapp runs: 100 at 100" in (tmp_path / "growth-runs-processor.svg").read_text("utf-8")
