"""Scores of multi-label classification: F1 and average precision by class, and thresholds for the scores."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST_EXAMPLES = 5
"""The fewest examples with a class, and without it, from which a threshold is chosen for it."""


@dataclass(frozen=True)
class SetScores:
    """How well sets of classes were predicted; each array is (classes,), float64, in 0..1.

    Attributes:
        precision: The share of the examples said to have a class that have it; 0 where none was.
        recall: The share of the examples with a class that were said to have it; 0 where there are none.
        f1: The harmonic mean of both.
        average_precision: The area below the curve of precision and recall over all thresholds; NaN for a class
            without examples.
        examples: The examples with each class, int64.
        micro_f1: The F1 of all answers to all classes together.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    average_precision: Floats
    examples: NDArray[np.int64]
    micro_f1: float

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that have examples; 0 where none has."""
        return _mean(self.f1[self.examples > 0])

    @property
    def mean_average_precision(self) -> float:
        """The mean of the average precisions of the classes that have examples; 0 where none has."""
        return _mean(self.average_precision[self.examples > 0])


def score_sets(truth: NDArray[np.bool_], scores: NDArray[np.floating], thresholds: NDArray[np.floating]) -> SetScores:
    """Score sets of classes.

    Args:
        truth: Whether each example has each class, (examples, classes).
        scores: The model's scores, (examples, classes).
        thresholds: The score of each class from which on an example is said to have it, (classes,).
    """
    from sklearn.metrics import average_precision_score

    truth = truth.astype(bool)
    answers = scores >= thresholds
    right = (truth & answers).sum(axis=0).astype(np.float64)
    said, there = answers.sum(axis=0), truth.sum(axis=0)
    known = np.nan_to_num(scores)  # a model that diverged has none; its run fails by its loss
    precisions = [
        average_precision_score(truth[:, at], known[:, at]) if count else np.nan for at, count in enumerate(there)
    ]
    return SetScores(
        precision=_divide(right, said),
        recall=_divide(right, there),
        f1=_divide(2 * right, said + there),
        average_precision=np.array(precisions, np.float64),
        examples=there.astype(np.int64),
        micro_f1=float(2 * right.sum() / max(1, said.sum() + there.sum())),
    )


def choose_thresholds(truth: NDArray[np.bool_], scores: NDArray[np.floating], usual: float) -> Floats:
    """Choose the threshold of each class with the best F1 (Lipton, Elkan & Narayanaswamy 2014, "Optimal Thresholding").

    A threshold lies in the middle between two scores. Classes of few examples keep the usual one, since the best one of
    few examples is an accident.

    Args:
        truth: Whether each example has each class, (examples, classes), of examples that the model has not trained on.
        scores: The model's scores, (examples, classes).
        usual: The threshold that the loss means, such as 0.5 for probabilities.

    Returns:
        The thresholds, float64 (classes,).
    """
    from sklearn.metrics import precision_recall_curve

    found = np.full(truth.shape[1], usual, np.float64)
    for at in range(truth.shape[1]):
        count = int(truth[:, at].sum())
        if min(count, len(truth) - count) < _LEAST_EXAMPLES or not np.isfinite(scores[:, at]).all():
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            precision, recall, edges = precision_recall_curve(truth[:, at], scores[:, at].astype(np.float64))
        f1 = _divide(2 * precision * recall, precision + recall)[:-1]
        best = int(f1.argmax())
        found[at] = edges[best] if best == 0 else (edges[best - 1] + edges[best]) / 2
    return found


def _divide(part: Floats, whole: NDArray[np.floating] | NDArray[np.integer]) -> Floats:
    shares: Floats = np.divide(part, whole, out=np.zeros(len(part)), where=np.asarray(whole) > 0)
    return shares


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0
