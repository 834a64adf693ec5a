"""Comparisons of runs for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftapp.api.run import Run
from ftapp.api.runs import get_run_folder
from ftapp.common.errors import RunError
from ftapp.common.formatting import format_quantity

if TYPE_CHECKING:
    from ftapp.analysis.compare import Comparison


def compare(runs: Sequence[Run | str | Path], *, runs_dir: str | Path | None = None) -> list[Comparison]:
    """Compare runs with the first of them: losses on the same batches, metrics, times, each with its interval.

    Args:
        runs: Two runs or more: runs, their folders or their names.
        runs_dir: The folder of all runs.

    Returns:
        A comparison of each later run with the first. `Comparison.verdicts` are sentences.

    Raises:
        RecipeError: There is no such run.
        RunError: There are fewer than two runs, or they are folds of one job.
        TypeError: One run came in place of a list.
    """
    from ftapp.analysis.compare import compare_all
    from ftapp.analysis.records import read_arms

    if isinstance(runs, Run | str | Path):
        raise TypeError("one run came in place of a list; a comparison is of two runs or more, such as [run, other]")
    if len(runs) < 2:
        raise RunError(f"{format_quantity(len(runs), 'run')} cannot be compared; a comparison is of two runs or more")
    arms = read_arms([get_run_folder(each, runs_dir) for each in runs])
    if len(arms) < 2:
        raise RunError("the runs are folds of one job, which are not compared; 'ftapp compare' puts them together")
    return compare_all(arms)
