"""What a model of a task is trained on and measured by: the losses and metrics that `ftapp.recipe.tasks` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from ftapp.data.dataset import NumberScale
from ftapp.models.completion_loss import CompletionCrossentropy
from ftapp.models.heads import OneHotLoss, ScaledSquaredError, SetLoss, binary_crossentropy, one_vs_rest_hinge
from ftapp.recipe.tasks import Head, Task

_UNIT = NumberScale(0.0, 1.0)
_LOSSES: Mapping[str, Callable[[NumberScale], keras.losses.Loss]] = {
    "categorical-crossentropy": lambda scale: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "binary-crossentropy": lambda scale: OneHotLoss(binary_crossentropy),
    "hinge": lambda scale: OneHotLoss(one_vs_rest_hinge),
    "set-crossentropy": lambda scale: SetLoss(binary_crossentropy),
    "set-hinge": lambda scale: SetLoss(one_vs_rest_hinge),
    "squared-error": ScaledSquaredError,
    "token-crossentropy": lambda scale: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "completion-crossentropy": lambda scale: CompletionCrossentropy(),
}
_METRICS: Mapping[str, Callable[[float], keras.metrics.Metric]] = {
    "accuracy": lambda threshold: keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
    "micro-f1": lambda threshold: keras.metrics.MeanMetricWrapper(micro_f1, name="micro-f1", threshold=threshold),
    "mae": lambda threshold: keras.metrics.MeanAbsoluteError(name="mae"),
}


def loss_for(task: Task, head: Head, scale: NumberScale | None = None) -> keras.losses.Loss:
    """Make the loss of a task.

    Args:
        task: the row of the task.
        head: the form of the new classifier; not used for a task that keeps the pretrained head.
        scale: the scale of the numbers of regression; not used for other tasks.

    Returns:
        A loss for the labels of `ftapp.data.dataset.Dataset.get_targets` and outputs (batch, outputs): logits of heads
        that give probabilities, else scores; for language models, logits (batch, tokens, vocabulary).
    """
    return _LOSSES[task.losses[head if task.heads else None]](scale or _UNIT)


def metrics_for(task: Task, head: Head) -> list[keras.metrics.Metric] | None:
    """Make the metrics that a task is measured by beside its loss; None where there are none, as Keras takes it."""
    return [_METRICS[metric.name](usual_threshold(head)) for metric in task.metrics] or None


def micro_f1(labels: Any, scores: Any, threshold: float) -> Any:
    """Compute the F1 of all answers of a batch together, a scalar; 1 where no class is there and none is answered.

    Args:
        labels: Whether each example has each class, (batch, classes) of 0 and 1.
        scores: Scores (batch, classes).
        threshold: The score from which on an example is said to have a class.
    """
    answers = keras.ops.cast(scores >= threshold, scores.dtype)
    labels = keras.ops.cast(labels, scores.dtype)
    right, said = keras.ops.sum(labels * answers), keras.ops.sum(labels) + keras.ops.sum(answers)
    return keras.ops.where(said > 0, 2 * right / keras.ops.maximum(said, 1.0), 1.0)


def usual_threshold(head: Head) -> float:
    """Give the score from which on an example is said to have a class: a probability of 0.5, or a distance of 0."""
    return 0.0 if head == "linear-svm" else 0.5
