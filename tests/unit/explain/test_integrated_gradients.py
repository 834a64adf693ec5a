"""Integrated gradients add up to the difference of the scores, and tell of the weights that are there."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras_hub import models as hub

from ftapp.explain.explainer import Explainer
from ftapp.explain.integrated_gradients import TOLERANCE, integrate
from ftapp.models.gradients import make_gradient
from ftapp.models.saved_model import TrainedModel
from tests.support.explaining import PREPROCESSOR, correlate, make_classifier, randomize_from_the_head
from tests.support.family_models import VIT
from tests.support.presets import BAD, GOOD, OTHER

TEXT = "the film was great and the plot was dull with a superb actor"


def make_text_classifier() -> TrainedModel:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *OTHER]
    backbone = hub.BertBackbone(len(vocabulary), 2, 2, hidden_dim=8, intermediate_dim=16, max_sequence_length=32)
    tokenizer = hub.BertTokenizer(vocabulary=vocabulary, lowercase=True)
    return make_classifier(backbone, preprocessor=hub.BertTextClassifierPreprocessor(tokenizer, sequence_length=16))


@pytest.fixture(scope="module")
def classifier() -> TrainedModel:
    return make_text_classifier()


@pytest.fixture(scope="module")
def explainer(classifier: TrainedModel) -> Explainer:
    return Explainer(classifier)


def test_attributions_of_words_add_up_to_the_difference_of_the_scores(explainer: Explainer) -> None:
    assert explainer.method == "integrated gradients"
    differences = []
    for output in range(3):
        found = explainer.explain_text(TEXT, output)
        difference = found.attributions.score - found.attributions.baseline_score
        allowed = TOLERANCE * float(np.abs(found.values).sum())
        assert found.values.sum() == pytest.approx(difference, abs=allowed)
        differences.append(abs(difference) / allowed)
    assert max(differences) > 10


def test_the_explained_score_is_the_log_odds_of_the_answer(classifier: TrainedModel, explainer: Explainer) -> None:
    probabilities = classifier.predict([TEXT])[0]
    found = [explainer.explain_text(TEXT, output).attributions.score for output in range(3)]
    np.testing.assert_allclose(found, np.log(probabilities / (1 - probabilities)), rtol=1e-3, atol=1e-4)


def test_words_are_the_text_and_those_cut_off_have_no_share(explainer: Explainer) -> None:
    text = f"{TEXT} in a scene i found very good"
    found = explainer.explain_text(text, 0)
    assert "".join(word.text for word in found.words) == text
    # 16 tokens, of which two are special.
    assert [word.text.strip() for word in found.words if word.tokens is not None] == [*TEXT.split(), "in"]
    assert found.words[-1].tokens is None
    assert found.values[-1] == 0


def test_a_linear_score_is_explained_exactly() -> None:
    inputs = keras.Input((3, 1), name="x")
    dense = keras.layers.Dense(2, use_bias=False)
    model = keras.Model({"x": inputs}, dense(keras.layers.Flatten()(inputs)))
    dense.set_weights([np.array([[1, 0], [-2, 0], [0.5, 3]], np.float32)])
    gradient = make_gradient(model, "x", lambda outputs, chosen: keras.ops.sum(outputs * chosen, axis=-1))
    value, baseline = np.array([[3], [1], [2]], np.float32), np.array([[1], [0], [0]], np.float32)
    found = integrate(gradient, "x", value, baseline, {}, np.array([1, 0], np.float32), batch_size=4)
    np.testing.assert_allclose(found.parts, [2, -2, 1], rtol=1e-5)
    assert (found.score, found.baseline_score) == (2, 1)
    assert found.is_complete


def test_random_weights_from_the_head_downward_change_the_shares_of_words() -> None:
    explainer = Explainer(make_text_classifier())
    before = explainer.explain_text(TEXT, 1).values
    similarity = [
        abs(correlate(before, explainer.explain_text(TEXT, 1).values))
        for name in randomize_from_the_head(explainer.model)
        if name in ("explained", "transformer_layer_0", "token_embedding")
    ]
    assert similarity[0] < 1
    assert similarity[-1] < 0.5


def test_a_padding_of_zeros_is_no_blank() -> None:
    trained = make_text_classifier()
    assert Explainer(trained)._blank == trained.preprocessor.tokenizer.pad_token_id
    (table,) = trained.model.get_layer("token_embedding").weights
    table.assign(np.vstack([np.zeros((1, 8)), keras.ops.convert_to_numpy(table)[1:]]))
    assert Explainer(trained)._blank == trained.preprocessor.tokenizer.mask_token_id


def test_maps_of_a_transformer_add_up_from_black_and_from_white() -> None:
    trained = make_classifier(hub.ViTBackbone(**VIT, mlp_dim=16), preprocessor=PREPROCESSOR)
    pixels = np.random.default_rng(0).uniform(0, 255, (8, 8, 3)).astype(np.float32)
    found = Explainer(trained).explain_image(pixels, 2)
    assert found.cells.shape == (8, 8)
    assert found.cells.min() >= 0
    black, white = found.attributions
    assert black.score == pytest.approx(white.score)
    assert black.baseline_score != pytest.approx(white.baseline_score)
    assert black.is_complete
    assert white.is_complete
