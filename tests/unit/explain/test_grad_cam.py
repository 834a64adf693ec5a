"""Grad-CAM points at what a class is told by, and tells of the weights that are there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from ftapp.explain.explainer import Explainer
from ftapp.explain.grad_cam import find_feature_maps
from ftapp.models.saved_model import TrainedModel
from tests.support.explaining import (
    CLASSES,
    SIDE,
    SQUARE,
    correlate,
    make_squares,
    randomize_from_the_head,
    train_squares,
)


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    return train_squares()


def test_the_map_points_at_the_square_that_makes_the_class(trained: TrainedModel) -> None:
    explainer = Explainer(trained)
    assert explainer.method == "Grad-CAM"
    pixels, labels, corners = make_squares(40, seed=2)
    hits = 0
    for image, corner in zip(pixels[labels == 1], corners[labels == 1], strict=True):
        cells = explainer.explain_image(image, CLASSES.index("square")).cells
        assert cells.shape == (SIDE // 2, SIDE // 2)  # below the last pooling
        strongest = np.array(np.unravel_index(cells.argmax(), cells.shape)) * 2 + 1
        hits += bool(np.all((strongest >= corner - 2) & (strongest <= corner + SQUARE + 2)))
    assert hits >= 19  # of 20; by chance, 4


def test_the_square_is_no_evidence_for_the_other_class(trained: TrainedModel) -> None:
    explainer = Explainer(trained)
    pixels, labels, _ = make_squares(8, seed=2)
    for image in pixels[labels == 1]:
        found, other = (explainer.explain_image(image, CLASSES.index(name)).cells for name in ("square", "empty"))
        place = np.unravel_index(found.argmax(), found.shape)
        assert other[place] == 0


def test_random_weights_from_the_head_downward_change_the_map(trained: TrainedModel) -> None:
    model = keras.models.clone_model(trained.model)
    model.set_weights(trained.model.get_weights())
    explainer = Explainer(replace(trained, model=model))
    pixels, labels, _ = make_squares(10, seed=2)
    images = pixels[labels == 1]

    def explain() -> list[Any]:
        return [explainer.explain_image(image, 1).cells for image in images]

    before, names, similarity = explain(), [], []
    for name in randomize_from_the_head(explainer.model):
        names.append(name)
        similarity.append(np.mean([abs(correlate(*pair)) for pair in zip(before, explain(), strict=True)]))
    assert names == ["explained", "high", "low"]
    # The head only weighs the maps, of which few tell of a square. The maps themselves come from the layers below.
    assert similarity[0] < 1
    assert max(similarity[1:]) < 0.5


def test_maps_are_found_by_the_graph() -> None:
    inputs = keras.Input((16, 16, 3))
    first = keras.layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    weights = keras.layers.GlobalAveragePooling2D(keepdims=True)(first)
    squeezed = keras.layers.Multiply()([first, keras.layers.Dense(4)(weights)])
    pooled = keras.layers.MaxPooling2D()(squeezed)
    vector = keras.layers.GlobalAveragePooling2D(keepdims=True)(pooled)
    head = keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Conv2D(8, 1)(vector)))
    assert find_feature_maps(keras.Model(inputs, head)) is squeezed
    tokens = keras.layers.Dense(4)(keras.layers.Reshape((64, 4))(pooled))
    assert find_feature_maps(keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(tokens))) is None
    assert find_feature_maps(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))) is None
