"""Comparison of two or more runs: their recipes, their results, and their losses at equal steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftapp.recipe.raw_tables import DESCRIPTIVE_KEYS
from ftapp.runs.history import History
from ftapp.tui.curves import LONG, Floats

_FINE = 2048  # dots along each side of a picture that very many points are drawn for
_AT_ONCE = 2**20  # points whose dots are computed at once


@dataclass(frozen=True)
class RunResults:
    """The results of a run so far.

    Attributes:
        steps: The number of steps.
        best_step: The step whose weights the model has, where they are the best ones and not those of the last step.
        metrics: By name, with the loss among them: of the whole test split where `final`, else of the latest
            evaluation.
        final: Whether they are of the whole test split.
        share: R, the trainable share of the latest phase.
        seconds: The wall time.
        pace: Steps a second, from the median step.
        memory: The largest memory, in bytes.
    """

    steps: int
    metrics: Mapping[str, float]
    final: bool
    share: float | None
    seconds: float | None
    pace: float | None
    memory: int | None
    best_step: int | None = None


def collect_results(history: History) -> RunResults:
    """Collect the results of a run from its history."""
    steps, ended = history.steps, history.ended
    shown = history.result or (history.evaluations[-1] if history.evaluations else None)
    seconds = ended.seconds if ended else None
    if seconds is None and history.started and steps:
        seconds = steps.time[-1] - history.started.time
    step = float(np.median(np.asarray(steps.seconds))) if steps else 0.0
    return RunResults(
        steps=len(steps),
        metrics=shown.values if shown else {},
        final=shown is not None and shown.final,
        share=history.trainable_share,
        seconds=seconds,
        pace=1 / step if step else None,
        memory=max(steps.memory, default=None),
        best_step=history.kept.best_step if history.kept else None,
    )


def find_differences(recipes: Sequence[Mapping[str, Any] | None]) -> list[tuple[str, tuple[str, ...]]]:
    """Find the keys in which recipes differ. Phases are matched by name.

    Args:
        recipes: The raw tables of resolved recipes; None for a recipe that cannot be read.

    Returns:
        The dotted keys with the value of each recipe as TOML has it: "" for no value, "?" for an unread recipe.
    """
    flat = [None if recipe is None else dict(_flatten(recipe)) for recipe in recipes]
    known = [values for values in flat if values is not None]
    keys = dict.fromkeys(key for values in known for key in values)
    return [
        (key, tuple("?" if values is None else values.get(key, "") for values in flat))
        for key in keys
        if key not in DESCRIPTIVE_KEYS and len({values.get(key, "") for values in known}) > 1
    ]


def are_folds(recipes: Sequence[Mapping[str, Any] | None]) -> bool:
    """Tell whether runs are folds of one recipe, and so repeats of one job.

    Args:
        recipes: As `find_differences` takes them.
    """
    differing = {key for key, _ in find_differences(recipes)}
    return "data.fold" in differing and differing <= {"data.fold", "seed"}


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The values of nested tables by dotted key."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
            for index, part in enumerate(value):
                yield from _flatten(
                    {name: inner for name, inner in part.items() if name != "name"},
                    f"{prefix}{key}.{part.get('name', index)}.",
                )
            yield f"{prefix}{key}", ", ".join(str(part.get("name", index)) for index, part in enumerate(value))
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(_text, value)) if value else "[]"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class LossPairs:
    """The losses of two runs at the steps that both have taken.

    Attributes:
        x: The losses of the first run, (points,); of very many, those that a picture shows.
        y: Those of the second run at the same steps, (points,).
        count: At how many steps.
        lower: At how many of them the second run has the lower loss.
        are_equal: Whether the losses are equal at all of them.
    """

    x: Floats
    y: Floats
    count: int
    lower: int
    are_equal: bool


def pair_losses(first: History, second: History) -> LossPairs:
    """Pair the losses of two runs.

    Args:
        first: The history of one run.
        second: The history of the other run.
    """
    x, y = np.asarray(first.steps.loss, np.float64), np.asarray(second.steps.loss, np.float64)
    one, two = np.asarray(first.steps.step), np.asarray(second.steps.step)
    common = min(len(x), len(y))
    if np.array_equal(one[:common], two[:common]):  # nearly always; the general way sorts
        x, y = x[:common], y[:common]
    else:
        _, left, right = np.intersect1d(one, two, return_indices=True)
        x, y = x[left], y[right]
    count, lower, are_equal = len(x), int((y < x).sum()), np.array_equal(x, y)
    if count > LONG:
        finite = np.isfinite(x) & np.isfinite(y)
        x, y = drop_hidden_points(x[finite], y[finite], _FINE, _FINE)
    return LossPairs(x, y, count, lower, are_equal)


def drop_hidden_points(x: Floats, y: Floats, columns: int, rows: int) -> tuple[Floats, Floats]:
    """Drop the points that fall on the dot of another point.

    Args:
        x: (points,).
        y: (points,).
        columns: The width of the picture in dots.
        rows: The height of the picture in dots.

    Returns:
        The x and y of the points that are left.
    """
    if not len(x):
        return x, y
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    scale = (high - low) or 1.0
    kept, dots = np.empty(0, np.int64), np.empty(0)
    for start in range(0, len(x), _AT_ONCE):
        some_x, some_y = x[start : start + _AT_ONCE], y[start : start + _AT_ONCE]
        found = np.floor((some_x - low) / scale * columns) * (rows + 1) + np.floor((some_y - low) / scale * rows)
        dots, first = np.unique(np.concatenate([dots, found]), return_index=True)
        kept = np.concatenate([kept, np.arange(start, start + len(found))])[first]
    return x[kept], y[kept]
