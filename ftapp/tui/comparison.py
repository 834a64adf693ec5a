"""What two or more runs have and have not in common: recipes, results, and losses at equal steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftapp.runs.history import History
from ftapp.tui.curves import Floats

_WORDS = ("title", "summary")  # keys of a recipe that do not change what is computed


@dataclass(frozen=True)
class Results:
    """What a run gave so far.

    metrics: by name, with the loss among them, of the whole test split where `final`, else of the latest evaluation;
    share: R of the latest phase; seconds: wall time; pace: steps a second, by the median step; memory: bytes, at most.
    """

    steps: int
    metrics: Mapping[str, float]
    final: bool
    share: float | None
    seconds: float | None
    pace: float | None
    memory: int | None


def results(history: History) -> Results:
    """The results of a run, as its history tells them."""
    steps, ended = history.steps, history.ended
    shown = history.result or (history.evaluations[-1] if history.evaluations else None)
    seconds = ended.seconds if ended else None
    if seconds is None and history.started and steps:
        seconds = steps.time[-1] - history.started.time
    step = float(np.median(steps.seconds)) if steps else 0.0
    return Results(
        steps=len(steps),
        metrics=shown.values if shown else {},
        final=shown is not None and shown.final,
        share=history.trainable_share,
        seconds=seconds,
        pace=1 / step if step else None,
        memory=max(steps.memory, default=None),
    )


def differences(recipes: Sequence[Mapping[str, Any] | None]) -> list[tuple[str, tuple[str, ...]]]:
    """The dotted keys in which recipes differ, with each one's value as TOML has it, "" where it has none.

    recipes: the raw tables of resolved recipes, None for one that cannot be read, which is left out of account and has
    "?" for a value. Phases are told apart by their names.
    """
    flat = [None if recipe is None else dict(_flat(recipe)) for recipe in recipes]
    known = [values for values in flat if values is not None]
    keys = dict.fromkeys(key for values in known for key in values)
    return [
        (key, tuple("?" if values is None else values.get(key, "") for values in flat))
        for key in keys
        if key not in _WORDS and len({values.get(key, "") for values in known}) > 1
    ]


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The values of nested tables by dotted key."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
            for index, part in enumerate(value):
                yield from _flat(
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


def paired_losses(first: History, second: History) -> tuple[Floats, Floats]:
    """The losses of two runs at the steps that both have taken, in order: two arrays (steps,)."""
    one, two = first.steps, second.steps
    x, y = np.array(one.loss, np.float64), np.array(two.loss, np.float64)
    common = min(len(x), len(y))
    if one.step[:common] == two.step[:common]:  # as is nearly always so; the general way sorts
        return x[:common], y[:common]
    _, left, right = np.intersect1d(np.array(one.step), np.array(two.step), return_indices=True)
    return x[left], y[right]


def thinned(x: Floats, y: Floats, columns: int, rows: int) -> tuple[Floats, Floats]:
    """Points (n,) without those that fall on the same dot of a picture of columns x rows dots as one before."""
    if not len(x):
        return x, y
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    scale = (high - low) or 1.0
    dots = np.floor((x - low) / scale * columns) * (rows + 1) + np.floor((y - low) / scale * rows)
    _, kept = np.unique(dots, return_index=True)
    return x[kept], y[kept]
