"""Tiny models to explain: one that has learned where the evidence is, and one of each family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Literal, cast

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ftapp.models.heads import add_head
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import Model
from tests.support.presets import set_weights

SIDE, SQUARE = 24, 6  # pixels of an image, and of the square that makes its class
CLASSES = ("empty", "square")
PREPROCESSOR = SimpleNamespace(image_converter=SimpleNamespace(scale=1 / 255, offset=None))


def make_squares(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
    """Make noisy images, every other one with a bright square somewhere.

    Returns:
        Images (count, 24, 24, 3) in 0..255, their classes (count,), and the upper left corners (count, 2).
    """
    random = np.random.default_rng(seed)
    pixels = random.uniform(0, 120, (count, SIDE, SIDE, 3)).astype(np.float32)
    labels = (np.arange(count) % 2).astype(np.int32)
    corners = random.integers(0, SIDE - SQUARE, (count, 2))
    for image, label, (top, left) in zip(pixels, labels, corners, strict=True):
        if label:
            image[top : top + SQUARE, left : left + SQUARE] = 255
    return pixels, labels, corners


def train_squares() -> TrainedModel:
    """Train a convolution net to find the square, in about two seconds."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="low")(inputs)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="high")(x)
    x = keras.layers.MaxPooling2D()(x)
    model = keras.Model(inputs, add_head(x, spec("max"), len(CLASSES)))
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", jit_compile=False)
    pixels, labels, _ = make_squares(128, seed=1)
    model.fit(pixels / 255, labels, epochs=12, batch_size=32, verbose=0)
    return TrainedModel("image-classification", "softmax", CLASSES, model, PREPROCESSOR, None)


def spec(pooling: str = "average", head: str = "softmax") -> Model:
    """Return a head's `[model]`, as `add_head` reads it."""
    plain = SimpleNamespace(pooling=pooling, normalize=False, hidden=[], dropout=0.0, head=head)
    return cast(Model, plain)


def make_classifier(
    backbone: Any, classes: Sequence[str] = ("a", "b", "c"), preprocessor: Any = PREPROCESSOR
) -> TrainedModel:
    """Put a new head on a backbone with random weights."""
    set_weights(backbone, 1)
    takes_texts = isinstance(backbone.input, dict) and "token_ids" in backbone.input
    features = backbone.output
    if isinstance(features, dict):
        features = features.get("pooled_output", features.get("sequence_output", [*features.values()][-1]))
    by_token = takes_texts or any(each.name in ("class_token", "cls_token") for each in backbone.weights)
    inputs = backbone.input if takes_texts else backbone.inputs[0]
    head = add_head(features, spec(), len(classes), by_token=by_token)
    model = keras.Model(inputs, head, name="classifier_model")
    set_weights(model.get_layer("classifier"), 2)
    task: Literal["text-classification", "image-classification"] = (
        "text-classification" if takes_texts else "image-classification"
    )
    return TrainedModel(task, "softmax", tuple(classes), model, preprocessor, None)


def randomize_from_the_head(model: Any) -> Iterator[str]:
    """Give layers random weights of the same spread, one after another from the head downward, and yield their names.

    (Adebayo et al. 2018, "Sanity Checks for Saliency Maps": cascading randomization.)
    """
    random = np.random.default_rng(3)
    for layer in reversed(model.layers):
        if layer.weights:
            for weight in layer.weights:
                value = keras.ops.convert_to_numpy(weight)
                weight.assign(random.normal(0, value.std() + 1e-3, value.shape).astype("float32"))
            yield layer.name


def correlate(one: Any, other: Any) -> float:
    """Compute the rank correlation of two maps; 0 where one of them is flat."""
    found = float(spearmanr(np.ravel(one), np.ravel(other)).statistic)
    return found if np.isfinite(found) else 0.0
