"""Models whose batches give their metrics without waiting for the device, and predicted classes with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.training import gradient_norm
from ftapp.training.tensorflow_steps import TracedStep


class InstrumentedModel(keras.Model):
    """A Functional model over another one's layers, for `train_on_batch` and `test_on_batch` with `return_dict`.

    These give a dictionary for `read_values`: the metrics by name, with `gradient_norm` among those of a training step
    if the optimizer is watched (`ftapp.training.gradient_norm`). If `predicts` is set before the model is compiled, it
    holds the class of the highest score of each example too, and that score, from the same forward pass.

    Attributes:
        predicts: Whether batches give predicted classes.
        training_loss: What is trained on in place of the compiled loss, which held-out examples are measured by.
    """

    predicts = False
    training_loss: keras.losses.Loss | None = None
    train_function: Any  # Keras's, of the newest compilation
    test_function: Any

    def make_train_function(self, force: bool = False) -> Any:
        """Make what computes a training step; on TensorFlow a function that is traced once."""
        if keras.backend.backend() != "tensorflow":
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = TracedStep(self, self.train_step)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """Make what measures a batch; on TensorFlow a function that is traced once."""
        if keras.backend.backend() != "tensorflow":
            return super().make_test_function(force)
        if self.test_function is None or force:
            self.test_function = TracedStep(self, self.test_step)
        return self.test_function

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Compute what is trained on, with the layers' own losses; of held-out examples, the compiled loss."""
        if self.training_loss is None or not training:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        return sum(map(keras.ops.sum, self.losses), self.training_loss(y, y_pred, sample_weight))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, tuple[Any]]:
        """What Keras hands out for a batch. It makes numbers of all but tuples, and would wait for the device."""
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        if (norm := gradient_norm.take_norm(self.optimizer)) is not None:
            results["gradient_norm"] = norm
        if self.predicts:
            results["predicted"] = keras.ops.argmax(y_pred, axis=-1)
            results["confidence"] = keras.ops.max(y_pred, axis=-1)
        return {name: (value,) for name, value in results.items()}


def instrument(model: keras.Model, *, predicts: bool) -> InstrumentedModel:
    """Make a model of the same layers and weights as a Functional one, to be compiled.

    Args:
        model: The Functional model.
        predicts: Whether its batches give the predicted classes too.
    """
    same = InstrumentedModel(model.input, model.output, name=model.name)
    same.predicts = predicts
    return same


class Predicted(NamedTuple):
    """classes: the class of the highest score of each example, int (examples,); scores: these scores, float."""

    classes: NDArray[np.integer]
    scores: NDArray[np.floating]


def beside_loss(metrics: Mapping[str, float]) -> dict[str, float]:
    """Pick the metrics of a task among those of a batch or a split, those that are finite."""
    others = ("loss", "gradient_norm")
    return {name: value for name, value in metrics.items() if name not in others and math.isfinite(value)}


def read_values(results: dict[str, tuple[Any]]) -> tuple[dict[str, float], Predicted | None]:
    """Read what a batch gave. Waits for the device.

    Args:
        results: What `train_on_batch` or `test_on_batch` of an `InstrumentedModel` returns.

    Returns:
        (the metrics by name, what the model predicts or None).
    """
    arrays = {name: keras.ops.convert_to_numpy(value) for name, (value,) in results.items()}
    predicted = Predicted(arrays.pop("predicted"), arrays.pop("confidence")) if "predicted" in arrays else None
    return {name: float(value) for name, value in arrays.items()}, predicted
