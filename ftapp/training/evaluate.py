"""Held-out metrics: a model's loss and accuracy, averaged over a split, and which classes it takes for which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.analysis.metrics.calibration import bin_confidences
from ftapp.analysis.metrics.confusion import count_confusion
from ftapp.data.dataset import Dataset
from ftapp.data.prefetch import prefetch
from ftapp.training.instrumented_model import Instrumented, values


@dataclass(frozen=True)
class Measured:
    """metrics: by name, `loss` among them; confusion, calibration: as in `analysis.metrics`, if the model predicts."""

    metrics: dict[str, float]
    confusion: NDArray[np.int64] | None
    calibration: NDArray[np.float64] | None


def measure(
    model: Instrumented,
    dataset: Dataset,
    order: Sequence[NDArray[Any]],
    classes: int,
    told: Callable[[int, int], bool],
) -> Measured | None:
    """The mean of each of the compiled model's metrics over the examples of `order`, in one pass.

    told: called with the examples measured so far and in all after each batch; when it returns False the measurement
    is given up and the result is None. Keras resets its metrics at each batch, so the mean is made here, in double
    precision.
    """
    examples, measured = sum(map(len, order)), 0
    totals: dict[str, float] = {}
    counts: NDArray[np.int64] | None = None
    bins: NDArray[np.float64] | None = None
    for x, y in prefetch(lambda indices: (dataset.inputs(indices, None), dataset.targets(indices)), iter(order)):
        metrics, predicted = values(model.test_on_batch(x, y, return_dict=True))
        for name, value in metrics.items():
            totals[name] = totals.get(name, 0.0) + value * len(y)
        if predicted is not None:
            found, parts = (
                count_confusion(y, predicted.classes, classes),
                bin_confidences(predicted.scores, predicted.classes == y),
            )
            counts = found if counts is None else counts + found
            bins = parts if bins is None else bins + parts
        measured += len(y)
        if not told(measured, examples):
            return None
    return Measured({name: total / examples for name, total in totals.items()}, counts, bins)
