"""What a model of a task is trained on and measured by: the losses and metrics that `ftapp.recipe.tasks` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras

from ftapp.models.heads import OneHotLoss, one_vs_rest_hinge
from ftapp.recipe.tasks import Head, Task

_LOSSES: Mapping[str, Callable[[], keras.losses.Loss]] = {
    "categorical-crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "binary-crossentropy": lambda: OneHotLoss(keras.losses.binary_crossentropy),
    "hinge": lambda: OneHotLoss(one_vs_rest_hinge),
    "token-crossentropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
}
_METRICS: Mapping[str, Callable[[], keras.metrics.Metric]] = {
    "accuracy": lambda: keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
}


def loss_for(task: Task, head: Head) -> keras.losses.Loss:
    """Make the loss of a task.

    Args:
        task: the row of the task.
        head: the form of the new classifier; not used for a task that keeps the pretrained head.

    Returns:
        A loss for labels (batch,) of class numbers and scores (batch, classes); for language models, labels
        (batch, tokens) of token ids and logits (batch, tokens, vocabulary).
    """
    return _LOSSES[task.losses[head if task.heads else None]]()


def metrics_for(task: Task) -> list[keras.metrics.Metric] | None:
    """Make the metrics that a task is measured by beside its loss; None where there are none, as Keras takes it."""
    return [_METRICS[metric.name]() for metric in task.metrics] or None
