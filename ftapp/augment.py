"""Augmentation: a recipe's `[augment]` table as Keras image layers, drawn anew for each step from the run's seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.recipe import Augment


class Augmenter:
    """Applies random changes to batches of images; equal keys give equal changes."""

    def __init__(self, spec: Augment, image_size: Sequence[int]) -> None:
        """image_size: (height, width) of the images, which the result keeps."""
        self._spec = spec
        self._layers = _layers(spec, image_size)
        self._resize = keras.layers.Resizing(*image_size, data_format="channels_last", dtype="float32")

    def __call__(self, images: NDArray[np.float32], key: Sequence[int]) -> NDArray[np.float32]:
        """images: (batch, height, width, 3), float32 in 0..255. key: whole numbers that decide what is drawn."""
        x: Any = images
        for index, layer in enumerate(self._layers):
            state = np.random.SeedSequence([*key, index]).generate_state(2, dtype=np.uint32)
            layer.generator.state.assign(state)
            if isinstance(layer, keras.layers.RandomCrop):
                # Keras draws one window for a whole batch of crops, so images go through it one at a time.
                x = np.stack([self._crop(layer, image) for image in x])
            else:
                x = layer(x, training=True)
        return np.asarray(keras.ops.convert_to_numpy(x), dtype=np.float32)

    def __repr__(self) -> str:
        """The changes it makes, the same in every process."""
        return f"Augmenter({self._spec!r})"

    def _crop(self, layer: keras.layers.Layer, image: Any) -> NDArray[np.float32]:
        return np.asarray(keras.ops.convert_to_numpy(self._resize(layer(image, training=True))), dtype=np.float32)


def _layers(spec: Augment, image_size: Sequence[int]) -> list[keras.layers.Layer]:
    height, width = image_size
    options: dict[str, Any] = {"data_format": "channels_last", "dtype": "float32"}
    filling = {**options, "fill_mode": spec.fill_mode, "fill_value": spec.fill_value}
    layers: list[keras.layers.Layer] = []
    # Two layers for both directions: Keras's "horizontal_and_vertical" turns an image both ways at once or not at all.
    directions = [direction for direction in ("horizontal", "vertical") if spec.flip in (direction, "both")]
    layers += [keras.layers.RandomFlip(direction, **options) for direction in directions]
    if spec.rotation:
        layers.append(keras.layers.RandomRotation(spec.rotation / 360, **filling))  # Keras counts in whole turns
    if spec.zoom:
        layers.append(keras.layers.RandomZoom(spec.zoom, **filling))
    if any(spec.translation):
        across, down = spec.translation
        layers.append(keras.layers.RandomTranslation(down, across, **filling))
    if spec.crop < 1:
        cropped = (max(1, round(height * spec.crop)), max(1, round(width * spec.crop)))
        layers.append(keras.layers.RandomCrop(*cropped, **options))
    return layers
