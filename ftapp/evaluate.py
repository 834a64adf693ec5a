"""Held-out metrics: a model's loss and accuracy, averaged over a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from ftapp.batches import Dataset, prefetched


def measure(
    model: Any, dataset: Dataset, order: Sequence[NDArray[Any]], told: Callable[[int, int], bool]
) -> dict[str, float] | None:
    """The mean of each of the compiled model's metrics over the examples of `order`, by name; `loss` is among them.

    told: called with the examples measured so far and in all after each batch; when it returns False the measurement
    is given up and the result is None. Keras resets its metrics at each batch, so the mean is made here, in double
    precision.
    """
    examples, measured = sum(map(len, order)), 0
    totals: dict[str, float] = {}
    for x, y in prefetched(lambda indices: (dataset.inputs(indices, None), dataset.targets(indices)), iter(order)):
        for name, value in model.test_on_batch(x, y, return_dict=True).items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(y)
        measured += len(y)
        if not told(measured, examples):
            return None
    return {name: total / examples for name, total in totals.items()}
