"""Held-out metrics: the mean of a model's metrics over a split, and which classes it takes for which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.analysis.metrics.calibration import bin_confidences
from ftapp.analysis.metrics.confusion import count_confusion
from ftapp.analysis.metrics.scores import score_classes
from ftapp.data.dataset import Dataset
from ftapp.data.prefetch import prefetch
from ftapp.recipe.metrics import MACRO_F1
from ftapp.training.instrumented_model import InstrumentedModel, read_values


@dataclass(frozen=True)
class Evaluation:
    """The result of a measurement.

    Attributes:
        metrics: The mean of each metric by its name, `loss` among them, and the macro F1 where the model predicts.
        confusion: Counts (true class, predicted class); None where the model does not predict.
        calibration: Rows of `ftapp.analysis.metrics.calibration`; None where the model does not predict.
    """

    metrics: dict[str, float]
    confusion: NDArray[np.int64] | None
    calibration: NDArray[np.float64] | None


def evaluate(
    model: InstrumentedModel,
    dataset: Dataset,
    order: Sequence[NDArray[Any]],
    classes: int,
    report: Callable[[int, int], bool],
) -> Evaluation | None:
    """Measure a compiled model on examples in one pass.

    Keras resets its metrics at each batch, so the mean is made here, in double precision.

    Args:
        model: The compiled model.
        dataset: The examples as the model takes them.
        order: The examples of each batch.
        classes: The number of classes; of no matter where the model does not predict.
        report: Is called with the examples measured so far and in all after each batch. Returns False to give up.

    Returns:
        The means over all examples; None where `report` gave up.
    """
    examples, done = sum(map(len, order)), 0
    totals: dict[str, float] = {}
    counts: NDArray[np.int64] | None = None
    bins: NDArray[np.float64] | None = None
    for x, y in prefetch(
        lambda indices: (dataset.make_inputs(indices, None), dataset.get_targets(indices)), iter(order)
    ):
        metrics, predicted = read_values(model.test_on_batch(x, y, return_dict=True))
        for name, value in metrics.items():
            totals[name] = totals.get(name, 0.0) + value * len(y)
        if predicted is not None:
            found, parts = (
                count_confusion(y, predicted.classes, classes),
                bin_confidences(predicted.scores, predicted.classes == y),
            )
            counts = found if counts is None else counts + found
            bins = parts if bins is None else bins + parts
        done += len(y)
        if not report(done, examples):
            return None
    means = {name: total / examples for name, total in totals.items()}
    if counts is not None:
        _, _, means[MACRO_F1.name] = score_classes(counts).mean()
    return Evaluation(means, counts, bins)
