"""Classifier heads: the layers on top of a backbone, and the losses of those forms that Keras has none for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.data.dataset import NumberScale
from ftapp.models import backend
from ftapp.models.keras_internals import graph_nodes, operation_of
from ftapp.recipe import Head, Model

# The weight of a linear SVM's squared norm beside its hinge loss; 1e-3 suits some hundred to some thousand examples
# (C = 1 / (n * 2e-3)).
_SVM_L2 = 1e-3


NORMALIZATION = "head_normalization"
"""The layer that brings features to mean 0 and variance 1."""
NUMBER_SCALE = "number_scale"
"""The layer that gives numbers the scale of the training split."""


def add_head(
    features: Any, spec: Model, outputs: int, scale: NumberScale | None = None, *, by_token: bool = True
) -> Any:
    """Add new layers on a backbone's features, in float32 at any precision of the backbone.

    Args:
        features: A tensor (batch, height, width, channels), (batch, tokens, width) or (batch, width).
        spec: The recipe's `[model]`.
        outputs: The number of classes, or 1 for a number.
        scale: The scale of the numbers of regression; None for classes.
        by_token: Whether the first token stands for the whole example; else all tokens are pooled.

    Returns:
        Scores (batch, outputs), float32: probabilities that sum to 1 (softmax), a probability for each class against
        all others (one-vs-rest), signed distances to each class's hyperplane (linear-svm), or a number (linear).
    """
    x = features
    if len(x.shape) == 4:
        x = _POOLINGS[spec.pooling](dtype="float32", name="head_pooling")(x)
    elif len(x.shape) == 3 and by_token:
        x = x[:, 0]
    elif len(x.shape) == 3:
        x = _TOKEN_POOLINGS[spec.pooling](dtype="float32", name="head_pooling")(x)
    if spec.normalize:
        # It never takes statistics from a batch, which may be of one example (`freeze.apply`).
        x = keras.layers.BatchNormalization(center=False, scale=False, dtype="float32", name=NORMALIZATION)(x)
    for index, width in enumerate(spec.hidden):
        x = keras.layers.Dense(width, activation="relu", dtype="float32", name=f"head_dense_{index}")(x)
    if spec.dropout:
        x = keras.layers.Dropout(spec.dropout, dtype="float32", name="head_dropout")(x)
    activation = {"softmax": "softmax", "one-vs-rest": "sigmoid"}.get(spec.head)
    penalty = keras.regularizers.L2(_SVM_L2) if spec.head == "linear-svm" else None
    x = keras.layers.Dense(
        outputs, activation=activation, kernel_regularizer=penalty, dtype="float32", name="classifier"
    )(x)
    if scale is None:
        return x
    # The layer below then learns numbers of mean 0 and variance 1, so that one learning rate suits any unit.
    return keras.layers.Rescaling(scale.deviation, scale.mean, dtype="float32", name=NUMBER_SCALE)(x)


def find_probability_head(model: Any) -> keras.layers.Dense | None:
    """Find the last layer of a Functional model if it makes probabilities of logits, which losses are computed from.

    Of a probability below 1e-7 the loss would be 16.1 on JAX and PyTorch, and have no gradient: Keras clips it there.
    So an example about which the model is quite wrong would not be learned from.
    """
    layer = operation_of(model.outputs[0])
    return layer if isinstance(layer, keras.layers.Dense) and layer.activation in _PROBABILITIES else None


def find_normalization(model: Any) -> Any | None:
    """Find the node of a Functional model's graph at which a new head normalizes features; None without one."""
    return next((node for node in graph_nodes(model) if node.operation.name == NORMALIZATION), None)


def calibrate(model: Any, inputs: Iterable[Any], progress: Callable[[int], bool]) -> None:
    """Give the normalization of a new head the mean and variance of each feature over all examples of `inputs`.

    They are constants of the model from then on, in training as in inference.

    Args:
        model: the Functional model with the head, or the half of it that holds the head.
        inputs: batches of what it takes.
        progress: called with the examples measured so far after each batch; when it returns False, the statistics are
            those of the batches so far.
    """
    node = find_normalization(model)
    if node is None:
        return
    layer, features = node.operation, keras.Model(model.input, node.input_tensors[0])
    features.compile(jit_compile=backend.jit_compile())
    moments = Moments()
    for batch in inputs:
        moments.add(_float64(features.predict_on_batch(batch)))
        if not progress(moments.count):
            break
    if moments.count:
        layer.moving_mean.assign(moments.mean)
        layer.moving_variance.assign(moments.variance)


class Moments:
    """Mean and variance of each column of rows that come in batches, in double precision.

    (Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", formula 1.5: exact for any batches,
    and without the loss of digits of a difference of large sums.)
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(())
        self._squares: NDArray[np.float64] = np.zeros(())

    @property
    def variance(self) -> NDArray[np.float64]:
        """The mean squared distance from the mean."""
        return self._squares / self.count

    def add(self, rows: NDArray[np.float64]) -> None:
        """Add rows, float64 (rows, columns)."""
        mean = rows.mean(axis=0)
        distance, total = mean - self.mean, self.count + len(rows)
        self._squares = self._squares + ((rows - mean) ** 2).sum(axis=0)
        self._squares += distance**2 * (self.count * len(rows) / total)
        self.mean, self.count = self.mean + distance * (len(rows) / total), total


def _float64(values: Any) -> NDArray[np.float64]:
    return np.asarray(values).astype(np.float64)


def training_loss_for(
    head: Head,
    *,
    smoothing: float = 0.0,
    gamma: float = 0.0,
    weights: NDArray[np.float64] | None = None,
    targets: Literal["classes", "shares", "sets"] = "classes",
) -> keras.losses.Loss | None:
    """Return what a head is trained on where that differs from its loss (`ftapp.models.objectives`), else None.

    Args:
        head: The form of the classifier.
        smoothing: The share of each label that is spread over all classes or, for one class against all others, over
            both answers (Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7).
        gamma: The power of 1 - p that losses are multiplied by (Lin et al. 2017, "Focal Loss for Dense Object
            Detection", equation 4).
        weights: By how much the loss of an example counts, by its class, or of the labels that it has, (classes,);
            None where all count the same.
        targets: Whether labels are class numbers, shares of classes (`ftapp.data.mixing`), or sets of classes.
    """
    if not smoothing and not gamma and weights is None and targets != "shares":
        return None
    options = {"label_smoothing": smoothing} if smoothing else {}
    measured = functools.partial(_MEASURED[head], **options)
    if gamma:
        measured = functools.partial(_FOCAL[head], gamma=gamma, **options)
    if targets == "sets":
        return SetLoss(measured, weights)
    return OneHotLoss(measured, weights, soft=targets == "shares")


class OneHotLoss(keras.losses.Loss):
    """A loss of one-hot labels, averaged over examples, for class numbers or shares of classes.

    Args:
        measured: Gives the losses (batch,) of one-hot labels and outputs, both (batch, classes).
        weights: As for `training_loss_for`.
        soft: Whether labels are shares of classes. An example counts as its classes on average.
    """

    def __init__(
        self, measured: Callable[..., Any], weights: NDArray[np.float64] | None = None, *, soft: bool = False
    ) -> None:
        super().__init__()
        self._measured, self._weights, self._soft = measured, weights, soft

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses (batch,) of labels and outputs (batch, classes).

        Args:
            y_true: Class numbers, (batch,) or (batch, 1), or shares of classes, (batch, classes).
            y_pred: The outputs: logits, or the distances of a linear SVM.
        """
        classes = y_pred.shape[-1]
        if self._soft:
            shares = keras.ops.cast(keras.ops.reshape(y_true, (-1, classes)), y_pred.dtype)
        else:
            labels = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
            shares = keras.ops.one_hot(labels, classes, dtype=y_pred.dtype)
        losses = self._measured(shares, y_pred)
        if self._weights is None:
            return losses
        weights = keras.ops.convert_to_tensor(self._weights, dtype=losses.dtype)
        return losses * (keras.ops.matmul(shares, weights) if self._soft else keras.ops.take(weights, labels))


class SetLoss(keras.losses.Loss):
    """A loss of sets of classes, averaged over classes and examples.

    Args:
        measured: Gives the losses (..., classes) -> (...) of labels of 0 and 1 and outputs, averaged over classes.
        weights: By how much the loss of each label counts for the examples that have it, (classes,); None for 1. With
            the cross-entropy this is -(w t log p + (1 - t) log(1 - p)), PyTorch's `pos_weight`.
    """

    def __init__(self, measured: Callable[..., Any], weights: NDArray[np.float64] | None = None) -> None:
        super().__init__()
        self._measured, self._weights = measured, weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses (batch,) of labels of 0 and 1 and outputs, both (batch, classes)."""
        has_class = keras.ops.cast(keras.ops.reshape(y_true, (-1, y_pred.shape[-1])), y_pred.dtype)
        if self._weights is None:
            return self._measured(has_class, y_pred)
        weights = keras.ops.convert_to_tensor(self._weights, dtype=y_pred.dtype)
        losses = self._measured(has_class[..., None], y_pred[..., None])  # each class for itself
        return keras.ops.mean(losses * (1 + has_class * (weights - 1)), axis=-1)


def one_vs_rest_hinge(one_hot: Any, scores: Any) -> Any:
    """Compute the hinge loss max(0, 1 - t * score), with t = 1 for the class and -1 for each other.

    (Cortes & Vapnik 1995; one-vs-rest as scikit-learn's LinearSVC.)

    Args:
        one_hot: Labels (batch, classes) of 0 and 1.
        scores: Signed distances to each class's hyperplane (batch, classes).

    Returns:
        The losses (batch,), averaged over the classes.
    """
    return keras.losses.hinge(2 * one_hot - 1, scores)


def focal_crossentropy(one_hot: Any, logits: Any, gamma: float, label_smoothing: float = 0.0) -> Any:
    """Compute the focal loss (Lin et al. 2017) of classes that exclude each other.

    Keras computes it from probabilities, which it clips at 1e-7: a very wrong answer would have no gradient.

    Args:
        one_hot: Labels or shares of classes, (batch, classes).
        logits: Logits (batch, classes).
        gamma: The power of 1 - p.
        label_smoothing: The share of each label that is spread over all classes.

    Returns:
        The losses (batch,).
    """
    logs = keras.ops.log_softmax(logits)
    truth = one_hot * (1 - label_smoothing) + label_smoothing / logits.shape[-1]
    return -keras.ops.sum(truth * (1 - keras.ops.exp(logs)) ** gamma * logs, axis=-1)


def binary_focal_crossentropy(one_hot: Any, logits: Any, gamma: float, label_smoothing: float = 0.0) -> Any:
    """Compute the focal loss of each class against all others, (batch,), averaged over the classes.

    Args:
        one_hot: As for `focal_crossentropy`, or sets of classes.
        logits: Logits (batch, classes).
        gamma: The power of 1 - p.
        label_smoothing: The share of each answer that is spread over both answers.
    """
    truth = one_hot * (1 - label_smoothing) + label_smoothing / 2
    yes, no = keras.ops.log_sigmoid(logits), keras.ops.log_sigmoid(-logits)
    losses = truth * keras.ops.exp(gamma * no) * yes + (1 - truth) * keras.ops.exp(gamma * yes) * no
    return -keras.ops.mean(losses, axis=-1)


class ScaledSquaredError(keras.losses.Loss):
    """The squared error in units of the training split's variance, averaged over examples.

    Always answering the mean of the training split has a loss of about 1, whatever the unit of the numbers.

    Args:
        scale: The scale of the numbers.
    """

    def __init__(self, scale: NumberScale) -> None:
        super().__init__()
        self._deviation = scale.deviation

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses (batch,) of numbers, (batch,) or (batch, 1), and answers (batch, 1)."""
        error = keras.ops.reshape(y_true, (-1,)) - keras.ops.reshape(y_pred, (-1,))
        return keras.ops.square(error / self._deviation)


binary_crossentropy = functools.partial(keras.losses.binary_crossentropy, from_logits=True)
"""The losses of logits of each class against all others, averaged over the classes."""
_MEASURED: Mapping[Head, Callable[..., Any]] = {
    "softmax": functools.partial(keras.losses.categorical_crossentropy, from_logits=True),
    "one-vs-rest": binary_crossentropy,
    "linear-svm": one_vs_rest_hinge,
}
_FOCAL: Mapping[Head, Callable[..., Any]] = {"softmax": focal_crossentropy, "one-vs-rest": binary_focal_crossentropy}
_PROBABILITIES = (keras.activations.softmax, keras.activations.sigmoid)

_POOLINGS = {
    "average": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
    "flatten": keras.layers.Flatten,
}
_TOKEN_POOLINGS = {
    "average": keras.layers.GlobalAveragePooling1D,
    "max": keras.layers.GlobalMaxPooling1D,
    "flatten": keras.layers.Flatten,
}
