"""Models whose batches give metrics without waiting for the device, and of held-out examples losses and scores too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.models.completion_loss import CompletionCrossentropy
from ftapp.models.heads import find_probability_head
from ftapp.training import gradient_norm
from ftapp.training.tensorflow_steps import TracedStep


class WatchedLoss(keras.losses.Loss):
    """A loss that remembers the losses of single examples, which it computes in any case.

    Args:
        loss: The loss, of any kind that averages over examples.
    """

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(reduction=loss.reduction, dtype=loss.dtype)
        self._loss = loss
        self._losses: Any = None  # from their computation to the end of the same step
        self._counted: Any = None

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the loss of a batch, a scalar, as the loss itself computes it."""
        if isinstance(self._loss, CompletionCrossentropy):
            sample_weight = self._counted = self._loss.find_counted(keras.ops.convert_to_tensor(y_true))
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return what the loss returns, (batch,) or (batch, tokens)."""
        self._losses = self._loss.call(y_true, y_pred)
        return self._losses

    def forget(self) -> None:
        """Forget the losses of the last batch."""
        self._losses = self._counted = None

    def take_losses(self) -> tuple[Any, Any]:
        """Take the losses of the last batch, and forget them: a compiled function must not meet them twice.

        Returns:
            The loss of each example, of a sequence the mean over its tokens that count, (batch,); None outside of a
            step. And how many tokens of each count, (batch,); None where all examples count the same.
        """
        found, counted = self._losses, self._counted
        self.forget()
        if found is None or len(found.shape) < 2:
            return found, None
        if counted is None:
            return keras.ops.mean(found, axis=tuple(range(1, len(found.shape)))), None
        counts = keras.ops.sum(counted, axis=1)
        return keras.ops.sum(found * counted, axis=1) / keras.ops.maximum(counts, 1.0), counts


class InstrumentedModel(keras.Model):
    """A Functional model over another one's layers, for `train_on_batch` and `test_on_batch` with `return_dict`.

    These give a dictionary for `read_values`: the metrics by name, with `gradient_norm` among those of a training step
    if the optimizer is watched (`ftapp.training.gradient_norm`). That of `test_on_batch` holds the loss of each example
    too and, if `gives_scores` is set before the model is compiled, its scores, from the same forward pass.

    Its outputs are the logits where the head of the Functional model gives probabilities, and losses are computed from
    them (`ftapp.models.heads.find_probability_head`). Metrics and scores are those of the probabilities.

    Attributes:
        gives_scores: Whether batches of held-out examples give the scores of the Functional model.
        training_loss: What is trained on in place of the compiled loss, which held-out examples are measured by.
        trains_on_shares: Whether labels of training steps are shares of classes. The metrics of a step then take the
            class of the largest share for the label.
    """

    gives_scores = False
    trains_on_shares = False
    training_loss: keras.losses.Loss | None = None
    train_function: Any  # Keras's, of the newest compilation
    test_function: Any

    def compile(self, *given: Any, loss: keras.losses.Loss, **options: Any) -> None:
        """Compile the model as Keras does, with a loss that remembers those of single examples."""
        super().compile(*given, loss=WatchedLoss(loss), **options)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **options: Any) -> Any:
        """Compute the outputs of a batch. Keras reads the arguments that it takes: those of a Functional model."""
        head = find_probability_head(self)
        with _leave_out_activation(head) if head else nullcontext():
            return super().call(inputs, training=training, mask=mask, **options)

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
        self.loss.forget()  # losses without values, which Keras computes before the first step to find shapes
        if self.training_loss is not None and training:
            return sum(map(keras.ops.sum, self.losses), self.training_loss(y, y_pred, sample_weight))
        found = super().compute_loss(x, self._find_classes(y, y_pred), y_pred, sample_weight, training)
        if training:
            self.loss.forget()
        return found

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, tuple[Any]]:
        """What Keras hands out for a batch. It makes numbers of all but tuples, and would wait for the device."""
        losses, counts = self.loss.take_losses()
        head = find_probability_head(self)
        y_pred = head.activation(y_pred) if head else y_pred
        results = super().compute_metrics(x, self._find_classes(y, y_pred), y_pred, sample_weight)
        if (norm := gradient_norm.take_norm(self.optimizer)) is not None:
            results["gradient_norm"] = norm
        if losses is not None:
            results["losses"] = losses
            if counts is not None:
                results["counts"] = counts
            if self.gives_scores:
                results["scores"] = y_pred
        return {name: (value,) for name, value in results.items()}

    def _find_classes(self, y: Any, y_pred: Any) -> Any:
        """Find the classes that the compiled loss and metrics take; labels of held-out examples are such already.

        Keras calls both with the labels of a training step too, before the first one, to find shapes.
        """
        are_shares = self.trains_on_shares and len(y.shape) == len(y_pred.shape)
        return keras.ops.argmax(y, axis=-1) if are_shares else y


@contextmanager
def _leave_out_activation(layer: keras.layers.Dense) -> Iterator[None]:
    """Have a layer give the inputs of its activation while the context lasts."""
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        yield
    finally:
        layer.activation = activation


def instrument(model: keras.Model, *, gives_scores: bool) -> InstrumentedModel:
    """Make a model of the same layers and weights as a Functional one, to be compiled.

    Args:
        model: The Functional model.
        gives_scores: Whether batches of held-out examples give its scores too.
    """
    same = InstrumentedModel(model.input, model.output, name=model.name)
    same.gives_scores = gives_scores
    return same


class BatchValues(NamedTuple):
    """What a batch gave.

    Attributes:
        metrics: The metrics by name.
        losses: The loss of each example, float32 (examples,); None of a training step.
        scores: The scores, float (examples, ...); None where the model does not give them.
        counts: The number of tokens of each example that its loss is the mean of, float32 (examples,); None where all
            examples count the same.
    """

    metrics: dict[str, float]
    losses: NDArray[np.float32] | None
    scores: NDArray[np.floating] | None
    counts: NDArray[np.float32] | None


def beside_loss(metrics: Mapping[str, float]) -> dict[str, float]:
    """Pick the metrics of a task among those of a batch or a split, those that are finite."""
    others = ("loss", "gradient_norm")
    return {name: value for name, value in metrics.items() if name not in others and math.isfinite(value)}


def read_values(results: dict[str, tuple[Any]]) -> BatchValues:
    """Read what a batch gave. Waits for the device.

    Args:
        results: What `train_on_batch` or `test_on_batch` of an `InstrumentedModel` returns.
    """
    # Of an answer that is quite right, JAX and PyTorch give the loss -0.0. Adding 0 takes the sign away.
    arrays = {name: keras.ops.convert_to_numpy(value) + 0 for name, (value,) in results.items()}
    losses, scores, counts = (arrays.pop(name, None) for name in ("losses", "scores", "counts"))
    return BatchValues({name: float(value) for name, value in arrays.items()}, losses, scores, counts)
