"""Names under which features are cached: they stay, so that features of earlier releases are still found."""

from __future__ import annotations

from typing import Any

import keras
import keras_hub
import numpy as np
import pytest
from numpy.typing import NDArray

from ftapp.data import Subset
from ftapp.data.augmentation import Augmenter, TextAugmenter
from ftapp.data.dataset import AugmentedView
from ftapp.data.encoded import Images, LabelledTexts
from ftapp.data.examples import Examples, Texts
from ftapp.data.hashes import hash_content
from ftapp.freezing import feature_store, freeze
from ftapp.freezing.cut import Cut, cut
from ftapp.recipe import Augment
from tests.support.plans import make_plan
from tests.support.presets import set_weights

VIEW = AugmentedView(seed=7, number=1)


def make_key(backbone: Any, features: Any) -> str:
    set_weights(backbone, 1)
    model = keras.Model(backbone.input, keras.layers.Dense(2, name="classifier")(features))
    plan = make_plan(model, backbone, ["freeze all", "train head"])
    freeze.apply(model, plan)
    halves = cut(model, plan, dropout=False)
    assert isinstance(halves, Cut)
    return feature_store.make_key(halves, "auto")


@pytest.mark.skipif(keras.__version__ != "3.15.1", reason="the key names the version of Keras")
def test_the_keys_of_entries_stay() -> None:
    vgg = keras_hub.models.VGGBackbone([1, 1], [4, 4], image_shape=(16, 16, 3))
    assert make_key(vgg, keras.layers.GlobalAveragePooling2D()(vgg.output)) == "3594c30ee15c0ee1c3ca5afe3812983b"
    bert = keras_hub.models.BertBackbone(50, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16)
    assert make_key(bert, bert.output["pooled_output"]) == "9c7aa5867005f6d1f2f74fb6d1818e56"


class Noise(Examples):
    """Two random images of 16x16."""

    labels = np.zeros(2, np.int32)
    classes = ("a", "b")

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.random.default_rng(index).integers(0, 255, (16, 16, 3)).astype(np.uint8)

    def digest(self, index: int) -> bytes:
        return hash_content(self[index].tobytes())


def hexes(dataset: Images | LabelledTexts, view: AugmentedView | None) -> list[str]:
    return [digest.hex() for digest in dataset.hash_examples(np.arange(2), view)]


def test_the_hashes_of_images_stay() -> None:
    converter = keras_hub.layers.VGGImageConverter(image_size=(16, 16), scale=1 / 255)
    preprocessor = keras_hub.models.VGGImageClassifierPreprocessor(converter)
    augmenter = Augmenter(Augment(flip="horizontal", rotation=10), (16, 16))
    images = Images(Subset(Noise(), np.arange(2)), preprocessor, augmenter)
    assert hexes(images, None) == ["cca506e809efe7498919580d5a6be93c", "52f0fab8470b202cced4503ce486e362"]
    assert hexes(images, VIEW) == ["85ec60c3f9feb1b01854330af357e796", "f795e7aceead92532fe76738bd0525eb"]


def test_the_hashes_of_texts_stay() -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "film"]
    tokenizer = keras_hub.models.BertTokenizer(vocabulary)
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=16)
    augmenter = TextAugmenter(Augment(token_dropout=0.2), tokenizer)
    texts = LabelledTexts(Subset(Texts(["a good film", "a film"]), np.arange(2)), preprocessor, augmenter)
    assert hexes(texts, None) == ["efe289df8b6e93346c56a52d44bbff52", "0f946dad5f4c0c68202e1068c0aadac1"]
    assert hexes(texts, VIEW) == ["5d9296b4d7fa96ba823d58ba7663b0ee", "2e6b36aa5eead208bd9b8d3b1bea1448"]
