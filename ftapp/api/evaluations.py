"""Evaluations of a run's model after the run, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ftapp import recipe as recipes
from ftapp.api.recipes import Overrides, format_overrides
from ftapp.api.run import Run
from ftapp.api.runs import get_run_folder
from ftapp.api.wait_for import wait_for
from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.recipe import TASKS, Recipe
from ftapp.recipe.metrics import get_metric
from ftapp.rpc.evaluation_messages import Remeasured
from ftapp.rpc.predictor_client import PredictorClient
from ftapp.runs.baselines import find_baseline
from ftapp.runs.class_results import final_confusion
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated
from ftapp.runs.run_folder import RunFolder

_OF_RUN = ("split_column", "group_column", "order_column", "weight_column", "limit", "folds", "fold")
"""Keys of [data] about the run's own data. Other data are read without them."""


def evaluate(
    run: Run | str | Path,
    source: str | None = None,
    *,
    split: str | None = None,
    overrides: Overrides = (),
    runs_dir: str | Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate a finished run's model on its test split again, or on other data, as `ftapp evaluate --json` does.

    Args:
        run: The run, its folder, its name, the beginning of its name, or `last`.
        source: Other data, such as `csv:new.csv`; None for the run's own test split.
        split: The split of other data that have splits: train, validation, test or all.
        overrides: How other data are read, such as `{"data.label_column": "stars"}`.
        runs_dir: The folder of all runs.
        offline: Whether the process makes no network call.
        progress: Called with the activity in words, the work done, and the work in all (None where not known).

    Returns:
        The result: `metrics` with 95% intervals, `baseline`, `confusion`, `seen_in_training` and more.

    Raises:
        RecipeError: There is no such run, or the data cannot be read.
        RunError: The run has no model, or `split` or `overrides` came without other data.
    """
    changes = format_overrides(overrides)
    if source is None and (split or changes):
        raise RunError("split and overrides are about other data, and no source is given")
    check_overrides(changes)
    folder = get_run_folder(run, runs_dir)
    other = load_other(folder, source, changes) if source else None

    async def ask() -> Remeasured:
        async with PredictorClient(recipes.load(folder.recipe_file), folder.folder, offline=offline) as client:
            return await client.evaluate(other, split, progress)

    return describe(folder, source, wait_for(ask()))


def check_overrides(overrides: Sequence[str]) -> None:
    """Check changes that say how other data are read.

    Args:
        overrides: The changes, `key=value` each.

    Raises:
        RunError: One changes something else than how data are read.
    """
    for each in overrides:
        if not each.startswith("data."):
            raise RunError(f"{each}: only keys of [data] say how a source is read; the model is as it was trained")
        if each.startswith("data.classes"):
            raise RunError("data.classes: the classes are those of the model, in its order")


def load_other(run: RunFolder, source: str, overrides: Sequence[str]) -> Recipe:
    """Load a run's recipe with other data, which have the classes of its model.

    Args:
        run: The run's folder.
        source: The other data.
        overrides: How they are read, `data.key=value` each.

    Raises:
        RecipeError: A change is wrong.
    """
    removals = [f"data.{key}=" for key in _OF_RUN]
    loaded = recipes.load(run.recipe_file, None, [*removals, f"data.source={source}", *overrides])
    history = run.history()
    if not TASKS[loaded.task].has_classes or not history.data or loaded.data.label_columns is not None:
        return loaded
    classes = list(history.data.classes)
    return loaded.model_copy(update={"data": loaded.data.model_copy(update={"classes": classes})})


def describe(run: RunFolder, source: str | None, found: Remeasured) -> dict[str, Any]:
    """Describe an evaluation as `ftapp evaluate --json` prints it.

    Args:
        run: The run's folder.
        source: The other data; None for the run's own test split.
        found: The evaluation.
    """
    history = History.of(found.events)
    result, data, baseline = get_result(history), history.data, find_baseline(history)
    assert data is not None, "the data come with the result"
    confusion = final_confusion(history)
    scored = next((each for each in history.set_scores if each.final), None)
    measures = result.values
    labels = None if scored is None else msgspec.to_builtins(scored)
    return {
        "run": str(run.folder),
        "source": source,
        "examples": result.examples,
        "metrics": {
            name: {"value": value, **dict(zip(("low", "high"), found.intervals.get(name, ()), strict=False))}
            for name, value in measures.items()
        },
        "baseline": baseline and {"answer": baseline.answer, "metrics": baseline.metrics},
        "classes": data.classes or None,
        "confusion": confusion and confusion.counts,
        "labels": labels and {key: labels[key] for key in ("thresholds", "precision", "recall", "f1", "counts")},
        "equal_to_run": None if source else not find_differences(run, result),
        "seen_in_training": found.seen,
        "notes": data.notes,
    }


def get_result(history: History) -> Evaluated:
    """Return the measures of an evaluation."""
    result = history.result
    assert result is not None, "an evaluation has a result"
    return result


def find_differences(run: RunFolder, result: Evaluated) -> list[str]:
    """Say how an evaluation of the test split differs from the result that the run has written."""
    former = run.history().result
    if former is None:
        return ["the run has no result of its own to compare with"]
    pairs = {"loss": (former.loss, result.loss)}
    pairs |= {name: (value, result.metrics.get(name, value)) for name, value in former.metrics.items()}
    return [
        f"the run has {get_metric(name).label} {one!r}, and this is {other!r}"
        for name, (one, other) in pairs.items()
        if one != other
    ]
