"""`ftapp report` and `ftapp compare`: pages and tables about runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import fail_on_run_errors, refuse, refuse_bad_recipes
from ftapp.cli.options import JsonOption, RunsArgument, RunsDirOption

if TYPE_CHECKING:
    from ftapp.analysis.records import Record
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
    explain: Annotated[
        bool, typer.Option("--explain", help="Explain the answers to these examples, and show and keep it.")
    ] = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """Write a run's report and model card into its folder, or a page about several runs, and print the path.

    For an experiment, compare its arms again.
    """
    from ftapp.analysis.records import read_arms, read_record
    from ftapp.common.safe_files import explain_error
    from ftapp.report import comparison
    from ftapp.report import run as single
    from ftapp.report.examples import MOST

    try:
        with refuse_bad_recipes():
            experiment = _find_experiment(runs, runs_dir)
            for option, given in (("--examples", examples is not None), ("--explain", explain)):
                if given and (experiment or len(runs) > 1):
                    refuse(f"{option} is for the report of one run; this report compares several")
            if experiment:
                from ftapp.cli.run_experiment import print_experiment

                print_experiment(experiment, as_json=False)
                return
        found = _find_runs(runs, runs_dir)
        if len(found) == 1:
            record, most = read_record(found[0]), MOST if examples is None else examples
            if explain:
                _explain(record, most)
            path = single.write(record, output, most)
        else:
            path = comparison.write(read_arms(found), output or Path("comparison.html"))
    except OSError as error:
        refuse(f"{output or 'the report'} cannot be written: {explain_error(error)}")
    print(path)


def _explain(one: Record, most: int) -> None:
    """Explain the answers to the test examples of a run with the highest loss, and keep that in its folder."""
    from ftapp import recipe as recipes
    from ftapp.cli.ask_helper import ask_helper
    from ftapp.common.formatting import format_quantity
    from ftapp.rpc.predictor_client import PredictorClient
    from ftapp.runs.example_results import read_example_results
    from ftapp.runs.explanations import write_explanations

    result = one.history.result
    results = read_example_results(one.run, result, most)
    if result is None or results is None or not results.found:
        refuse("this run has kept no test examples to explain; a run keeps them when it has its result")
    places = [each.example for each in results.found if each.has_content]
    with refuse_bad_recipes(), fail_on_run_errors():
        client = PredictorClient(recipes.load(one.run.recipe_file), one.run.folder, offline=True)
        found = ask_helper("the model", client, lambda asked, progress: asked.explain_test(places, progress))
    write_explanations(one.run, result, found)
    if missing := len(places) - len(found):
        of = format_quantity(len(places), "example")
        print(f"not in the run's data any more, and so without an explanation: {missing} of {of}", file=sys.stderr)


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
    if experiment and experiment.is_sweep and not arms:
        refuse(
            f"'{runs[0]}' is a sweep, and none of its trials was repeated with new seeds; 'ftapp report {runs[0]}' "
            "shows its trials, and 'ftapp compare' takes two or more of their runs"
        )
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
    from ftapp.experiments import experiment_lookup

    return experiment_lookup.find(names[0], user_folders.runs(runs_dir)) if len(names) == 1 else None


def _find_runs(names: list[str], runs_dir: Path | None) -> list[RunFolder]:
    from ftapp.experiments.find_run import find_run

    with refuse_bad_recipes():
        return [find_run(name, runs_dir) for name in names]
