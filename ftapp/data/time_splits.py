"""Splits by time: the test split is the latest part of the examples, and the validation split the part before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[Any]
"""The time of each example, float64 or datetime64[us] (examples,)."""


def draw_latest(times: Times, count: int) -> NDArray[np.bool_]:
    """Draw the latest examples. Of examples with equal times, those that come later in the source are later.

    Args:
        times: The time of each example.
        count: How many to draw.

    Returns:
        Which examples are drawn, bool (examples,).
    """
    drawn = np.zeros(len(times), np.bool_)
    drawn[np.argsort(times, kind="stable")[len(times) - count :]] = True
    return drawn


def describe(times: Times | None, parts: Sequence[NDArray[np.int64]]) -> Iterator[str]:
    """Describe the first and the last time of each split, in a sentence.

    Args:
        times: The time of each example; None for no sentence.
        parts: The examples of the splits for training, validation and test.
    """
    if times is not None:
        spans = [
            f"{name} {_format(times[part].min())} to {_format(times[part].max())}"
            for name, part in zip(("train", "validation", "test"), parts, strict=True)
            if len(part)
        ]
        yield f"splits by time: {', '.join(spans)}"


def _format(time: Any) -> str:
    """Write a time without what is zero at its end: 2026-01-31, 2026-01-31T12:30, or a number."""
    if not isinstance(time, np.datetime64):
        return f"{time:.15g}"
    is_day = time == time.astype("datetime64[D]")
    is_minute = time == time.astype("datetime64[m]")
    return str(np.datetime_as_string(time, "D" if is_day else "m" if is_minute else "auto"))
