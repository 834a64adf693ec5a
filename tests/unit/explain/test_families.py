"""What is explained of a model of any family is found by its graph, also where the backbone is one layer."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from ftapp.explain.explainer import find_embeddings
from ftapp.explain.grad_cam import find_feature_maps
from ftapp.explain.targets import make_score_model
from ftapp.models.graph import inline_models, make_rest, nest_backbone
from ftapp.models.keras_internals import is_functional
from tests.support.explaining import make_classifier
from tests.support.families import FAMILIES

# MobileNet gathers places before its last convolution, HGNetV2 tells of each stage.
MAPS = {
    "VGGBackbone": (4, 4),
    "EfficientNetBackbone": (4, 4),
    "HGNetV2Backbone": (4, 4),
    "MobileNetBackbone": (4, 4),
    "SwinTransformerBackbone": None,
    "ViTBackbone": None,
    "DINOV2Backbone": None,
}


@pytest.mark.parametrize("family", MAPS)
def test_feature_maps_are_those_of_convolution_nets(family: str) -> None:
    backbone = FAMILIES[family].make()
    trained = make_classifier(backbone)
    for model in (trained.model, inline_models(nest_backbone(trained.model, backbone))):
        maps = find_feature_maps(model)
        assert (None if maps is None else tuple(maps.shape[1:3])) == MAPS[family]


@pytest.mark.parametrize("family", ["BertBackbone", "RobertaBackbone", "DebertaV3Backbone", "GPT2Backbone"])
def test_the_part_above_the_embeddings_gives_the_scores_of_the_model(family: str) -> None:
    backbone = FAMILIES[family].make()
    trained = make_classifier(backbone)
    model = make_score_model(trained)
    nested = nest_backbone(trained.model, backbone)
    assert any(is_functional(layer) for layer in nested.layers)
    assert not any(is_functional(layer) for layer in inline_models(nested).layers)
    embeddings = find_embeddings(model)
    ids = np.arange(2, 8, dtype=np.int32)[None]
    arrays = {"token_ids": ids, "padding_mask": ids > 0, "segment_ids": ids * 0}
    every = {name: keras.ops.convert_to_tensor(array) for name, array in arrays.items()}
    given = {name: every[name] for name in backbone.input}
    rest = make_rest(model, {"embeddings": embeddings})
    embedded = keras.Model(model.input, embeddings)(given)
    assert embedded.shape == (1, 6, embeddings.shape[-1])
    scores = rest({name: embedded if name == "embeddings" else every[name] for name in rest.input})
    for whole in (trained.model, nested):
        np.testing.assert_allclose(keras.ops.softmax(scores), whole(given), rtol=1e-4, atol=1e-6)
