"""Grad-CAM: where in an image a convolution net finds the evidence for a class.

(Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", equations 1
and 2.) With the last feature maps A^k of height H and width W, and the score y^c of a class:

    alpha_k^c = 1 / (H W) sum_i sum_j dy^c / dA^k_ij
    L^c = ReLU(sum_k alpha_k^c A^k)
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.explain.targets import find_node, split
from ftapp.models.gradients import Score, make_gradient
from ftapp.models.graph import find_feeding

_FEATURES = "feature_maps"
# Layers without weights that leave out places or values. Below them stand the maps of VGG16's last convolution, which
# the paper takes.
_POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D, keras.layers.Dropout)


def find_feature_maps(model: keras.Model) -> Any | None:
    """Find the last feature maps of a model, by its graph.

    Args:
        model: A Functional model without models inside.

    Returns:
        The tensor (examples, height, width, channels); None where the features above are no maps, as in transformers
        for which an image is a sequence of patches.
    """
    for node in reversed(find_feeding(model, model.outputs)):
        for tensor in node.input_tensors:
            if len(tensor.shape) == 3:
                return None
            if len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) != (1, 1):
                return None if find_node(model, tensor).is_input else _skip_pooling(model, tensor)
    return None


def _skip_pooling(model: keras.Model, tensor: Any) -> Any:
    node = find_node(model, tensor)
    if isinstance(node.operation, _POOLING) and not find_node(model, node.input_tensors[0]).is_input:
        return _skip_pooling(model, node.input_tensors[0])
    return tensor


class GradCam:
    """Computes maps of images.

    Args:
        model: The model of scores.
        maps: Its last feature maps.
        score: What is explained of the scores.
    """

    def __init__(self, model: keras.Model, maps: Any, score: Score) -> None:
        self._below, above = split(model, maps, _FEATURES)
        self._gradient = make_gradient(above, _FEATURES, score)

    def compute_map(self, pixels: NDArray[np.float32], chosen: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the map of an image.

        Args:
            pixels: What the model takes, float32 (height, width, 3).
            chosen: Weights of the model's outputs, float32 (outputs,): 1 for the class, 0 for others.

        Returns:
            The evidence in each cell, float32 (rows, columns), 0 or more, in the score's unit.
        """
        maps = self._below.predict_on_batch(pixels[None])
        maps = keras.ops.convert_to_numpy(keras.ops.cast(maps, "float32"))
        _, gradients = self._gradient({_FEATURES: maps}, chosen[None])
        weights = gradients[0].mean(axis=(0, 1))
        evidence: NDArray[np.float32] = np.maximum(maps[0] @ weights, 0)
        return evidence
