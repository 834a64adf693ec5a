"""The benchmarks: how their figures are made, and in their quick form that they run, without what needs downloads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.files import ROOT

BENCHMARKS = ROOT / "benchmarks"


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
def test_both_ways_of_targeted_freezing_train_the_same_parameters_for_as_many_steps(tmp_path: Path) -> None:
    ours, plain = run("gpt2_targeted.py", tmp_path, "--epochs", "1", "--arms", "ftapp-B", "keras-B")
    assert ours[1:3] == plain[1:3]
    # 4 blocks of 4 * (32 * 32 + 32) attention parameters.
    assert ours[1] == "16,896"


@pytest.mark.slow
def test_the_overhead_is_measured_against_both_bare_loops(tmp_path: Path) -> None:
    rows = run("overhead.py", tmp_path)
    assert [row[1] for row in rows] == ["ftapp", "fit", "train_on_batch"]
    assert all(float(row[2]) > 0 for row in rows)


@pytest.mark.slow
def test_the_growth_of_the_cost_is_told_beside_the_first_run(tmp_path: Path) -> None:
    first, doubled = run("scaling.py", tmp_path, "--only", "images")
    assert first[3] == "1.00"
    assert doubled[1] == "epochs"


@pytest.mark.slow
def test_peak_memory_is_told_beside_that_of_a_forward_pass(tmp_path: Path) -> None:
    rows = run("memory.py", tmp_path)
    assert [row[0] for row in rows] == ["forward", "ftapp"]
    assert all(float(row[1]) > 0 for row in rows)


def run(script: str, scratch: Path, *options: str) -> list[list[str]]:
    """The cells of the table that a benchmark prints in its quick form, by row, without the header."""
    given = ["--quick", "--precision", "float32", "--scratch", str(scratch), *options]
    command = [sys.executable, str(BENCHMARKS / script), *given]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    table = done.stdout.partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
