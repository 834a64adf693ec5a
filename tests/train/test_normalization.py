"""The normalization of a new head: constants of the training split, whatever the size of a batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from ftapp import data, recipe
from ftapp.data.encoding import encode_images
from ftapp.models import saved_model
from ftapp.models.heads import NORMALIZATION, Moments
from ftapp.runs.run_folder import RunFolder
from ftapp.training.instrumented_model import InstrumentedModel
from tests.conftest import Do
from tests.support.presets import Tiny
from tests.support.recipes import HEAD_ALONE
from tests.train.test_cached import resnet_recipe

SECOND = '[[phase]]\nname = "all"\nlayers = ["train all"]\nsteps = 3\nbatch_size = 1\n'


def kept(run: RunFolder) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and variance that the saved model normalizes by."""
    layer = saved_model.load(run.model_folder).model.get_layer(NORMALIZATION)
    return np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)


@pytest.fixture
def measured() -> Callable[[RunFolder], tuple[NDArray[Any], NDArray[Any]]]:
    def measured(run: RunFolder) -> tuple[NDArray[Any], NDArray[Any]]:
        """Mean and variance of the features of all training images, with the weights of the saved model."""
        loaded, trained = recipe.load(run.recipe_file), saved_model.load(run.model_folder)
        train = data.load(loaded.data, loaded.task, loaded.seed).train
        features = keras.Model(trained.model.input, trained.model.get_layer(NORMALIZATION).input)
        images = encode_images([train[index] for index in range(len(train))], trained.preprocessor)
        values = np.asarray(features(images, training=False))
        return values.mean(axis=0), values.var(axis=0)

    return measured


@pytest.mark.parametrize(
    "sets",
    [
        ["phase.head.batch_size=1", "phase.head.epochs=2"],
        ["phase.head.batch_size=23"],  # a rest of one example
        ["phase.head.batch_size=1", "phase.head.epochs=2", "frozen.cache=false"],
        ["phase.head.batch_size=1", 'phase.head.layers=["freeze all", "train classifier"]', "model.hidden=[4]"],
    ],
)
def test_statistics_are_those_of_the_whole_training_split(
    do: Do, image_recipe: str, measured: Callable[[RunFolder], tuple[NDArray[Any], NDArray[Any]]], sets: list[str]
) -> None:
    code, history, run = do(image_recipe, "model.normalize=true", "precision=float32", *sets)
    assert code == 0
    mean, variance = measured(run)
    assert kept(run)[0] == pytest.approx(mean, rel=1e-4, abs=1e-5)
    assert kept(run)[1] == pytest.approx(variance, rel=1e-3, abs=1e-6)
    assert max(each.loss for each in history.evaluations) < 5
    assert history.ended_phases[0].changed == []


def test_a_new_head_that_is_frozen_passes_its_proof(do: Do, image_recipe: str) -> None:
    code, history, run = do(image_recipe, "model.normalize=true", 'phase.head.layers=["freeze all", "train last:1"]')
    assert code == 0
    assert history.ended_phases[0].changed == []
    assert np.all(kept(run)[1] < 1)


def test_batches_of_one_learn(do: Do, image_recipe: str) -> None:
    _, history, _ = do(image_recipe, "model.normalize=true", "phase.head.batch_size=1", "phase.head.epochs=4")
    assert history.result is not None
    assert history.result.metrics["accuracy"] >= 0.9


def test_statistics_stay_when_the_layers_below_are_unfrozen(do: Do, image_recipe: str) -> None:
    sets = ("model.normalize=true", "phase.head.epochs=1")
    before = kept(do(image_recipe, *sets)[2])
    code, history, run = do(image_recipe + SECOND, *sets)
    assert code == 0
    assert history.ended_phases[1].moved >= 2
    assert all(np.array_equal(*pair) for pair in zip(before, kept(run), strict=True))


def test_statistics_are_those_of_augmented_views(
    do: Do, image_recipe: str, measured: Callable[[RunFolder], tuple[NDArray[Any], NDArray[Any]]]
) -> None:
    augmented = image_recipe + "[augment]\nrotation = 180.0\nviews = 2\n"
    code, _, run = do(augmented, "model.normalize=true", "precision=float32", "phase.head.batch_size=1")
    assert code == 0
    plain, found = measured(run), kept(run)
    assert found[0] != pytest.approx(plain[0], rel=1e-3)
    assert found[0] == pytest.approx(plain[0], abs=0.05)


def test_a_model_that_trains_as_a_whole_is_normalized_too(do: Do, image_recipe: str) -> None:
    sets = ("model.normalize=true", 'phase.head.layers=["train all"]', "phase.head.batch_size=1")
    code, history, _ = do(image_recipe, *sets, "phase.head.learning_rate=0.001")
    assert code == 0
    assert history.evaluations[0].loss < 3
    assert history.evaluations[-1].loss < 3


def test_texts_of_any_length_are_normalized(do: Do, text_recipe: str) -> None:
    code, history, _ = do(text_recipe, HEAD_ALONE, "model.normalize=true", "phase.finetune.batch_size=1")
    assert code == 0
    assert history.evaluations[0].loss < 3


def test_moments_do_not_depend_on_how_rows_are_batched() -> None:
    rows = np.random.default_rng(0).normal(1e4, 0.1, (100, 3))
    whole, parts = Moments(), Moments()
    whole.add(rows)
    for start, end in ((0, 1), (1, 50), (50, 99), (99, 100)):
        parts.add(rows[start:end])
    assert parts.count == 100
    assert parts.mean == pytest.approx(rows.mean(axis=0), rel=1e-12)
    assert parts.variance == pytest.approx(rows.var(axis=0), rel=1e-6)
    assert parts.variance == pytest.approx(whole.variance, rel=1e-6)


def test_batches_too_small_for_batch_normalization_that_trains_are_refused(
    do: Do, tiny: Tiny, image_recipe: str, tmp_path: Path
) -> None:
    text = resnet_recipe(image_recipe, tiny, tmp_path / "resnet")
    code, history, _ = do(text, "phase.head.batch_size=2", "phase.head.epochs=1")
    assert code == 2
    assert history.ended is not None
    [(_, key, message)] = history.ended.problems
    assert key == "phase.head.batch_size"
    assert message.startswith("batches of 2 are too small for the ")
    # What it offers works.
    offered = message.split("--set '")[1].removesuffix("'")
    assert offered == 'phase.head.layers=["freeze all", "train last:1, head", "freeze norms"]'
    assert do(text, "phase.head.batch_size=2", "phase.head.epochs=1", offered)[0] == 0


def test_a_rest_of_an_epoch_is_no_small_batch_for_batch_normalization(
    do: Do, tiny: Tiny, image_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    train_on_batch = InstrumentedModel.train_on_batch

    def record(self: Any, x: Any, y: Any, *others: Any, **options: Any) -> Any:
        sizes.append(len(y))
        return train_on_batch(self, x, y, *others, **options)

    monkeypatch.setattr(InstrumentedModel, "train_on_batch", record)
    text = resnet_recipe(image_recipe, tiny, tmp_path / "resnet")
    assert do(text, "phase.head.batch_size=7", "phase.head.epochs=1")[0] == 0
    assert sizes == [7, 7, 7, 7]
