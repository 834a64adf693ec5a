"""Mixing: examples of a batch that are blended or pasted into each other, with their labels; it follows from keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.data.tensorflow_layers import on_tensorflow
from ftapp.recipe import Augment

# Beside a key, so that these numbers are none of those that decide the augmentation of single images.
_MIXING = 1 << 20


class Mixer:
    """Mixes the images of a batch in random pairs; equal keys give equal pairs and shares.

    Args:
        spec: The recipe's `[augment]`, in which mixup, cutmix or both are above 0.
    """

    def __init__(self, spec: Augment) -> None:
        options: dict[str, Any] = {"data_format": "channels_last", "dtype": "float32"}
        self._layers: list[keras.layers.Layer] = []
        if spec.mixup:
            self._layers.append(keras.layers.MixUp(spec.mixup, **options))
        if spec.cutmix:
            self._layers.append(keras.layers.CutMix(spec.cutmix, **options))

    def __call__(
        self, images: NDArray[np.float32], labels: NDArray[np.float32], key: Sequence[int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mix a batch. With mixup and cutmix, the key decides which of the two.

        Args:
            images: Float32 (batch, height, width, channels).
            labels: The shares of classes, float32 (batch, classes), which sum to 1.
            key: Whole numbers that decide pairs and shares.

        Returns:
            The mixed images and labels, of the same shapes and types.
        """
        own = (*key, _MIXING)
        choice = int(np.random.SeedSequence(own).generate_state(3, dtype=np.uint32)[2])
        layer = self._layers[choice % len(self._layers)]
        with on_tensorflow(layer, own):
            mixed = layer({"images": images, "labels": labels}, training=True)
            return np.asarray(mixed["images"], np.float32), np.asarray(mixed["labels"], np.float32)


class BatchMixer:
    """Makes the batches of training steps, mixed where a recipe says so.

    Args:
        spec: The recipe's `[augment]`, if it has one.
        classes: The number of classes.
    """

    def __init__(self, spec: Augment | None, classes: int) -> None:
        self._mixer = Mixer(spec) if spec and spec.mixes_labels else None
        self._classes = classes

    def mix(self, inputs: Any, targets: NDArray[Any], key: Sequence[int]) -> tuple[Any, NDArray[Any]]:
        """Mix a batch, or return it as it is.

        Args:
            inputs: What the model takes; where it is mixed, images, float32 (batch, height, width, channels).
            targets: Class numbers, integers (batch,), or other targets.
            key: Whole numbers that decide pairs and shares.

        Returns:
            The inputs and the targets, which are shares of classes where examples are mixed.
        """
        return self._mixer(inputs, self.soften(targets), key) if self._mixer else (inputs, targets)

    def soften(self, targets: NDArray[Any]) -> NDArray[Any]:
        """Return targets as training steps take them: where they are mixed, shares of classes (batch, classes)."""
        return np.eye(self._classes, dtype=np.float32)[targets] if self._mixer else targets
