"""Runs of today's families of models: two phases, the cut, the proof, and the saved model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from ftapp import data, recipe
from ftapp.models import generation, saved_model
from tests.conftest import Do
from tests.support import recipes
from tests.support.family_presets import save_preset
from tests.support.predictions import explain_test
from tests.support.presets import Tiny


@dataclass(frozen=True)
class Case:
    """What a family trains.

    Attributes:
        recipe: The recipe whose model and phases are replaced.
        size: The key of the size of inputs, with its value.
        adapted: The layers with adapters in the second phase.
    """

    recipe: str
    size: str
    adapted: str = "query & first:1, value & first:1"


_IMAGES, _TEXTS, _BOOK = "image_recipe", "text_recipe", "lm_recipe"
CASES = {
    "efficientnet": Case(_IMAGES, "image_size=[32,32]", "blocks[1] & !norms"),
    "vit": Case(_IMAGES, "image_size=[8,8]"),
    "dinov2": Case(_IMAGES, "image_size=[8,8]"),
    "swin": Case(_IMAGES, "image_size=[16,16]", "attention & first:1"),
    "deberta_v3": Case(_TEXTS, "sequence_length=16"),
    "gemma3": Case(_BOOK, "sequence_length=16"),
    "qwen3": Case(_BOOK, "sequence_length=16"),
    "llama3": Case(_BOOK, "sequence_length=16"),
}


@pytest.mark.slow
@pytest.mark.parametrize("family", CASES)
def test_a_family_trains_in_two_phases_and_loads_again(
    family: str, do: Do, tiny: Tiny, probed: None, tmp_path: Path
) -> None:
    case = CASES[family]
    save_preset(family, tmp_path / family)
    text = getattr(recipes, case.recipe)(tiny).replace("epochs = 3", "epochs = 2").replace("epochs = 1", "epochs = 2")
    writes = case.recipe == _BOOK
    first = "head" if case.recipe == _IMAGES else "finetune"
    head = [] if writes else ["train head"]
    code, history, run = do(
        text + LATER,
        f"model.preset={tmp_path / family}",
        f"model.{case.size}",
        "precision=float32",
        "evaluate.every=100",
        *(["samples.top_k=1"] if writes else []),
        f"phase.{first}.layers={['freeze all', *(head or ['train last:1'])]}",
        f"phase.later.layers={['freeze all', 'train last:1', f'lora:2 {case.adapted}', *head]}",
    )
    assert code == 0, history.ended
    for ended in history.ended_phases:
        assert (ended.changed, ended.stuck) == ([], [])
        assert ended.moved > 0
    cache = history.phases[0].cache
    assert cache is not None
    assert cache.cached, cache.reason
    assert history.phases[1].adapters > 0
    trained = saved_model.load(run.model_folder)
    whole = keras.saving.load_model(run.model_folder / "model.keras", compile=False)
    assert history.result is not None
    if writes:
        inputs = {"token_ids": np.arange(1, 9)[None], "padding_mask": np.ones((1, 8), bool)}
        np.testing.assert_allclose(trained.model.predict(inputs), whole.predict(inputs), rtol=1e-5, atol=1e-6)
        written = generation.stream(trained.causal_lm, "the cat", print, tokens=6, temperature=0, top_k=1, seed=0)
        assert history.samples[-1].text.startswith("the cat" + written.text)
        return
    loaded = recipe.load(run.recipe_file)
    test = data.load(loaded.data, loaded.task, loaded.seed).test
    scores = trained.predict([test[index] for index in range(len(test))])
    (explanation,) = explain_test(run, [test.locate(0)]).values()
    assert explanation.score == pytest.approx(scores[0].max(), abs=1e-4)
    assert bool(explanation.overlay) == (case.recipe == _IMAGES)
    assert (explanation.method == "Grad-CAM") == (family == "efficientnet")
    own = -np.log(scores[np.arange(len(test)), test.labels]).mean()
    assert history.result.loss == pytest.approx(own, rel=1e-4)


LATER = """
[[phase]]
name = "later"
layers = []
steps = 3
batch_size = 8
learning_rate = 0.003
"""
