"""`ftapp report` and `ftapp compare`: pages and tables about runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import refuse, refuse_bad_recipes
from ftapp.cli.options import JsonOption, RunsArgument, RunsDirOption

if TYPE_CHECKING:
    from ftapp.experiments.experiment_folder import Experiment
    from ftapp.runs.run_folder import RunFolder


def report(
    runs: RunsArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The page to write, in place of the default.")
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Show at most N test examples of a run; 0 for none. [default: 20]"),
    ] = None,
    runs_dir: RunsDirOption = None,
) -> None:
    """Write a run's report and model card into its folder, or a page about several runs, and print the path.

    For an experiment, compare its arms again.
    """
    from ftapp.analysis.records import read_arms, read_record
    from ftapp.report import comparison
    from ftapp.report import run as single
    from ftapp.report.examples import MOST

    try:
        with refuse_bad_recipes():
            experiment = _find_experiment(runs, runs_dir)
            if examples is not None and (experiment or len(runs) > 1):
                refuse("--examples is for the report of one run; this report compares several")
            if experiment:
                from ftapp.cli.run_experiment import print_experiment

                print_experiment(experiment, as_json=False)
                return
        found = _find_runs(runs, runs_dir)
        if len(found) == 1:
            path = single.write(read_record(found[0]), output, MOST if examples is None else examples)
        else:
            path = comparison.write(read_arms(found), output or Path("comparison.html"))
    except OSError as error:
        refuse(f"the report cannot be written: {error}")
    print(path)


def compare_runs(
    runs: RunsArgument,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row for each run as CSV.")] = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """Compare runs with the first run: results, differences of the recipes, and conclusions."""
    from ftapp.analysis import compare
    from ftapp.analysis.records import read_arms, read_experiment
    from ftapp.common.formatting import format_quantity
    from ftapp.report import comparison

    if as_json and as_csv:
        refuse("--json and --csv are both given; a comparison is printed as one of them")
    if experiment := _find_experiment(runs, runs_dir):
        arms = read_experiment(experiment)
    else:
        arms = read_arms(_find_runs(runs, runs_dir))
    if len(arms) < 2 and not any(arm.folds for arm in arms):
        refuse(f"{format_quantity(len(arms), 'run')} cannot be compared; a comparison is of two runs or more")
    if as_json:
        print(json.dumps(compare.build_table(arms)))
    elif as_csv:
        comparison.write_csv(arms, sys.stdout)
    else:
        from ftapp.cli.run_experiment import print_comparison

        print_comparison(arms)


def _find_experiment(names: list[str], runs_dir: Path | None) -> Experiment | None:
    """Return the experiment that a single name names, if it names one."""
    from ftapp.common import user_folders
    from ftapp.experiments import experiment_folder

    return experiment_folder.find(names[0], user_folders.runs(runs_dir)) if len(names) == 1 else None


def _find_runs(names: list[str], runs_dir: Path | None) -> list[RunFolder]:
    from ftapp.experiments.find_run import find_run

    with refuse_bad_recipes():
        return [find_run(name, runs_dir) for name in names]
