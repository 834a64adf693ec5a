"""The request to evaluate a run's model: on its own test split again, or on other data."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ftapp import data
from ftapp import recipe as recipes
from ftapp.analysis.statistics import FEWEST, estimate_mean, estimate_over_examples, estimate_share
from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.data.examples import Subset
from ftapp.recipe import Recipe
from ftapp.recipe.metrics import ACCURACY, LOSS
from ftapp.rpc.evaluation_messages import Remeasured
from ftapp.rpc.server import Request
from ftapp.runs.events import AnyEvent, DataLoaded
from ftapp.runs.example_results import ExampleResult, read_example_results
from ftapp.runs.phase_events import Evaluated
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.run_models import RunModels

if TYPE_CHECKING:
    from ftapp.data.dataset import EncodedDataset, EncodedSplits
    from ftapp.training.reevaluate import Measurement


class EvaluateRequests:
    """The handler of requests to evaluate.

    Args:
        models: The models of the last run.
    """

    def __init__(self, models: RunModels) -> None:
        self._models = models

    def evaluate(self, request: Request, run: str, recipe: str | None, split: str | None) -> Remeasured:
        """Evaluate the model of the run in a folder.

        Args:
            request: Receives the progress.
            run: The folder of the run.
            recipe: The run's recipe with other data, as TOML text; None for the run's own test split.
            split: Which of the other source's own splits; None for the usual one.

        Raises:
            RecipeError: The data do not fit the model, or are not there.
            RunError: There is no model.
        """
        folder, began = RunFolder(Path(run)), time.perf_counter()
        trained = self._models.load(request, run)
        from ftapp.training import reevaluate

        started = folder.history().started
        precision = {"precision": started.precision} if started else {}
        own = recipes.load(folder.recipe_file).model_copy(update=precision)
        seen, notes = None, list[str]()
        if recipe is None:
            found = reevaluate.repeat_evaluation(own, trained, folder.model_folder, request.report_progress)
            notes += _describe_changed_data(folder, found.splits)
        else:
            other = recipes.parse(recipe).model_copy(update=precision)
            try:
                found = reevaluate.evaluate_source(other, trained, split, request.report_progress)
            except RecipeError as error:
                raise RecipeError(list(map(_tell_of_model, error.problems))) from error
            seen = _count_seen(own, folder, found.examples, request)
        request.report_progress("estimating intervals")
        return Remeasured(events=_describe(found, notes, began), intervals=_estimate(found), seen=seen)


def _tell_of_model(problem: Problem) -> Problem:
    """Tell a problem with the classes of other data as one with those of the model, which no override changes."""
    clauses = [clause for clause in problem.message.split("; ") if "--set data.classes=" not in clause]
    message = "; ".join(clauses).replace("data.classes", "the model's classes")
    return Problem(problem.file, "" if problem.key == "data.classes" else problem.key, message)


def _describe_changed_data(run: RunFolder, splits: EncodedSplits) -> Iterator[str]:
    """Describe how the splits of a run differ from those that are drawn of its data now."""
    from ftapp.training.start_events import describe_data

    history = run.history()
    if history.data is None:
        return
    then, now = (_count_splits(each) for each in (history.data, describe_data(splits)))
    results = read_example_results(run, history.result)
    found = results.found if results and len(results.found) == results.examples else ()
    said = ""
    if then != now:
        said = f"{_list_sizes(then)} then, and {_list_sizes(now)} now"
    elif found and _holds_others(splits.test, {each.example: each for each in found}):
        said = "its test split had other examples"
    if said:
        drawn = "the test split is drawn anew, so the run may have trained on some of these examples"
        yield f"the data have changed since the run: {said}; {drawn}"


def _holds_others(dataset: EncodedDataset, results: Mapping[str, ExampleResult]) -> bool:
    """Tell whether a split holds other examples than those of a run, whose results it has kept by their places."""
    places = [dataset.locate(at) for at in range(len(dataset))]
    return set(places) != results.keys() or not all(
        results[place].is_of(dataset.digest(at), partial(_read_text, dataset, at)) for at, place in enumerate(places)
    )


def _read_text(dataset: EncodedDataset, index: int) -> str:
    """Read the beginning of a text, as long as results keep it; "" for an image."""
    from ftapp.training.callbacks.example_log import read_content

    text: str = read_content(dataset, index).get("text", "")
    return text


def _count_splits(data: DataLoaded) -> dict[str, list[int]]:
    """Count the examples of each split, or of each class in it."""
    sizes = {"train": data.train, "validation": data.validation, "test": data.test}
    return {name: data.counts.get(name, [size]) for name, size in sizes.items()}


def _list_sizes(counts: dict[str, list[int]]) -> str:
    """Write the examples of each split, and of each class in it."""
    return ", ".join(
        f"{name} {sum(each):,}" + (f" ({' + '.join(f'{count:,}' for count in each)})" if 1 < len(each) <= 4 else "")
        for name, each in counts.items()
    )


def _describe(found: Measurement, notes: list[str], began: float) -> list[AnyEvent]:
    from ftapp.training.instrumented_model import beside_loss

    splits, metrics, answers = found.splits, found.found.metrics, found.answers
    size = len(splits.test)
    counts = {"test": list(splits.counts["test"])} if "test" in splits.counts else {}
    events: list[AnyEvent] = [
        DataLoaded(
            time=time.time(),
            train=0,
            validation=0,
            test=size,
            classes=list(splits.classes),
            duplicates=0,
            counts=counts,
            notes=[*found.notes, *notes],
        ),
        Evaluated(
            time=time.time(),
            step=0,
            split="test",
            examples=size,
            loss=metrics["loss"],
            metrics=beside_loss(metrics),
            seconds=time.perf_counter() - began,
            final=True,
        ),
    ]
    if answers and found.found.targets is not None and found.found.scores is not None:
        scored = found.found.targets, found.found.scores
        events.append(answers.describe(*scored, step=0, split="test", final=True))
    return events


def _estimate(measured: Measurement) -> dict[str, tuple[float, float]]:
    """Estimate intervals: Wilson's of the accuracy, Student's t of the mean loss, and the bootstrap of the others."""
    found, answers = measured.found, measured.answers
    size = len(found.order)
    if size < FEWEST:
        return {}
    estimates = {LOSS.name: estimate_mean(found.losses.tolist())} if not measured.weighs_tokens else {}
    if ACCURACY.name in found.metrics and found.answers:
        estimates[ACCURACY.name] = estimate_share(int((found.answers.truths == found.answers.answers).sum()), size)
    targets, scores = found.targets, found.scores
    if answers and targets is not None and scores is not None:
        measure = answers.measure
        estimates |= estimate_over_examples(lambda drawn: measure(targets[drawn], scores[drawn]), size)
    return {name: (each.low, each.high) for name, each in estimates.items()}


def _count_seen(own: Recipe, run: RunFolder, measured: Subset | None, request: Request) -> int | None:
    """Count the examples that the run has trained on; None where its data cannot be read or are others now."""
    from ftapp.training.reevaluate import count_seen

    if measured is None:
        return None
    try:
        splits = data.read(own, request.report_progress)
    except (RecipeError, RunError, OSError):
        return None
    former = run.history().data
    if not isinstance(splits, data.Splits) or (former and former.train != len(splits.train)):
        return None
    return count_seen(measured, splits.train)
