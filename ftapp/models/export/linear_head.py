"""The head of a classifier as one linear layer, which the heads of other libraries are."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.models.heads import NORMALIZATION
from ftapp.models.saved_model import TrainedModel

ACTIVATIONS = {"softmax": "softmax", "one-vs-rest": "sigmoid", "linear-svm": "linear", "linear": "linear"}
"""What follows the linear layer, by the form of the head."""


def fold_head(trained: TrainedModel) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Fold the layers of a head into one: a normalization before the linear layer, and the scale of numbers after it.

    Args:
        trained: The trained classifier.

    Returns:
        Kernel (features, outputs) and bias (outputs,); None where the head has hidden layers.
    """
    layers = {layer.name: layer for layer in trained.model.layers}
    if any(name.startswith("head_dense_") for name in layers):
        return None
    kernel, bias = (_read(each).astype(np.float64) for each in layers["classifier"].weights)
    if normalization := layers.get(NORMALIZATION):
        scale = 1 / np.sqrt(_read(normalization.moving_variance) + normalization.epsilon)
        bias = bias - (_read(normalization.moving_mean) * scale) @ kernel
        kernel = kernel * scale[:, None]
    if number := layers.get("number_scale"):
        kernel, bias = kernel * number.scale, bias * number.scale + number.offset
    return kernel.astype(np.float32), bias.astype(np.float32)


def _read(variable: Any) -> NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(variable.value))
