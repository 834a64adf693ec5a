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

_OF_RUN = ("split_column", "group_column", "order_column", "weight_column", "limit", "folds", "fold")
"""Keys of [data] about the run's own data. Other data are read without them."""


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
    from ftapp.experiments.find_run import find_run

    for each in overrides or ():
        if not each.startswith("data."):
            refuse(f"--set {each}: only keys of [data] say how a source is read; the model is as it was trained")
        if each.startswith("data.classes"):
            refuse("--set data.classes: the classes are those of the model, in its order")
    if source is None and (split or overrides):
        refuse("--split and --set are about other data, and no --source is given")
    with refuse_bad_recipes(), fail_on_run_errors():
        run = find_run(name, runs_dir)
        other = load_other(run, source, overrides or []) if source else None
        found = _ask(run, other, split, offline=offline)
    from ftapp.cli import evaluation_text

    if as_json:
        print(json.dumps(evaluation_text.describe(run, source, found)))
    else:
        evaluation_text.print_evaluation(run, source, found)


def load_other(run: RunFolder, source: str, overrides: list[str]) -> Recipe:
    """Load the run's recipe with other data, which have the classes of its model."""
    from ftapp import recipe as recipes
    from ftapp.recipe import TASKS

    removals = [f"data.{key}=" for key in _OF_RUN]
    loaded = recipes.load(run.recipe_file, None, [*removals, f"data.source={source}", *overrides])
    history = run.history()
    if not TASKS[loaded.task].has_classes or not history.data or loaded.data.label_columns is not None:
        return loaded
    classes = list(history.data.classes)
    return loaded.model_copy(update={"data": loaded.data.model_copy(update={"classes": classes})})


def _ask(run: RunFolder, other: Recipe | None, split: str | None, *, offline: bool) -> Remeasured:
    from ftapp import recipe as recipes
    from ftapp.cli.ask_helper import ask_helper
    from ftapp.rpc.predictor_client import PredictorClient

    client = PredictorClient(recipes.load(run.recipe_file), run.folder, offline=offline)
    return ask_helper("the evaluation", client, lambda predictor, progress: predictor.evaluate(other, split, progress))
