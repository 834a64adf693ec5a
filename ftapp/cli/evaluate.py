"""`ftapp evaluate`: a finished run's model on its own test split again, or on other data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import fail_on_run_errors, refuse, refuse_bad_recipes
from ftapp.cli.options import JsonOption, OfflineOption, RunArgument, RunsDirOption

if TYPE_CHECKING:
    from ftapp.recipe import Recipe
    from ftapp.rpc.evaluation_messages import Remeasured
    from ftapp.runs.run_folder import RunFolder


def evaluate(
    name: RunArgument,
    source: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Other data, such as csv:new.csv. [default: the run's own test split]"),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The split, if the source has splits: train, validation, test or all. [default: test]",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", metavar="data.KEY=VALUE", help="How the source is read, such as data.label_column=stars."
        ),
    ] = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """Evaluate a finished run's model on its test split again, or on other data.

    The test split is measured as the run has measured it. Other data have the classes of the model. The result has 95%
    intervals, the measures of a constant answer, and the confusion matrix of classes.
    """
    from ftapp.api.evaluations import check_overrides, describe, load_other
    from ftapp.experiments.find_run import find_run

    with fail_on_run_errors(2):
        check_overrides(overrides or ())
    if source is None and (split or overrides):
        refuse("--split and --set are about other data, and no --source is given")
    with refuse_bad_recipes(), fail_on_run_errors():
        run = find_run(name, runs_dir)
        other = load_other(run, source, overrides or []) if source else None
        found = _ask(run, other, split, offline=offline)
    if as_json:
        print(json.dumps(describe(run, source, found)))
    else:
        from ftapp.cli.evaluation_text import print_evaluation

        print_evaluation(run, source, found)


def _ask(run: RunFolder, other: Recipe | None, split: str | None, *, offline: bool) -> Remeasured:
    from ftapp import recipe as recipes
    from ftapp.cli.ask_helper import ask_helper
    from ftapp.rpc.predictor_client import PredictorClient

    client = PredictorClient(recipes.load(run.recipe_file), run.folder, offline=offline)
    return ask_helper("the evaluation", client, lambda predictor, progress: predictor.evaluate(other, split, progress))
