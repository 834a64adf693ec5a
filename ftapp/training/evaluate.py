"""Held-out metrics: the mean of a model's metrics over a split, and what the model makes of each example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.data.dataset import Dataset
from ftapp.data.prefetch import prefetch
from ftapp.training.answers import AnswerKind, Answers, join_answers
from ftapp.training.instrumented_model import InstrumentedModel, read_values


@dataclass(frozen=True)
class Evaluation:
    """The result of a measurement.

    Attributes:
        metrics: The metrics by name, `loss` among them.
        order: The examples, as positions in the split in the order in which they were measured, int64 (examples,).
        losses: The loss of each; of a sequence the mean over its tokens that count, float32 (examples,).
        answers: The model's answers; None for models of tokens.
        targets: The labels; None where no scores are kept.
        scores: What the model puts out, float (examples, outputs); None where no scores are kept.
    """

    metrics: dict[str, float]
    order: NDArray[np.int64]
    losses: NDArray[np.float32]
    answers: Answers | None = None
    targets: NDArray[Any] | None = None
    scores: NDArray[np.floating] | None = None

    def sort_by_loss(self) -> NDArray[np.int64]:
        """Return places in the arrays, the highest loss first; of equal losses the first example of the split first."""
        return np.lexsort((self.order, -self.losses))


def evaluate(
    model: InstrumentedModel,
    dataset: Dataset,
    order: Sequence[NDArray[Any]],
    kind: AnswerKind | None,
    report: Callable[[int, int], bool],
) -> Evaluation | None:
    """Measure a compiled model on examples in one pass.

    Each example counts the same or, where the loss is over some tokens alone, each of these tokens.

    Keras resets its metrics at each batch, so the mean is made here, in double precision.

    Args:
        model: The compiled model, which gives scores if there is a `kind`.
        dataset: The examples as the model takes them.
        order: The examples of each batch.
        kind: What measures the model's answers; None for tokens.
        report: Is called with the examples measured so far and in all after each batch. Returns False to give up.

    Returns:
        The result over all examples; None where `report` gave up.
    """
    examples, done, weights = sum(map(len, order)), 0, 0.0
    totals: dict[str, float] = {}
    losses: list[NDArray[np.float32]] = []
    answers: list[Answers] = []
    targets: list[NDArray[Any]] = []
    scores: list[NDArray[np.floating]] = []
    for x, y in prefetch(
        lambda indices: (dataset.make_inputs(indices, None), dataset.get_targets(indices)), iter(order)
    ):
        found = read_values(model.test_on_batch(x, y, return_dict=True))
        weight = len(y) if found.counts is None else float(found.counts.sum(dtype=np.float64))
        for name, value in found.metrics.items():
            totals[name] = totals.get(name, 0.0) + value * weight
        weights += weight
        losses += [] if found.losses is None else [found.losses]
        if kind and found.scores is not None:
            answers.append(kind.answer(y, found.scores))
            if kind.keeps_scores:
                targets.append(y)
                scores.append(found.scores)
        done += len(y)
        if not report(done, examples):
            return None
    metrics = {name: total / weights for name, total in totals.items()}
    result = (np.concatenate(order), np.concatenate(losses), join_answers(answers))
    if not kind or not scores:
        return Evaluation(metrics, *result)
    both = np.concatenate(targets), np.concatenate(scores)
    return Evaluation(metrics | kind.measure(*both), *result, *both)
