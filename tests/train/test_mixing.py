"""Runs that mix their training examples."""

from __future__ import annotations

import pytest

from tests.conftest import Do
from tests.support.backends import ON_OTHER_BACKENDS, OWN_BACKEND
from tests.support.recipes import EVERY_STEP
from tests.train.test_resume import check_goes_on

AUGMENTED = "[augment]\nmixup = 0.4\n"


@pytest.mark.parametrize("head", ["softmax", "one-vs-rest"])
def test_a_model_learns_of_mixed_examples_and_caches_no_features(head: str, do: Do, image_recipe: str) -> None:
    code, history, _ = do(
        image_recipe + AUGMENTED, f"model.head={head}", "model.normalize=true", "phase.head.epochs=10"
    )
    assert code == 0
    assert history.result is not None
    assert history.result.metrics["accuracy"] >= 0.8
    assert 0 < history.steps.column("accuracy")[-1] <= 1
    cache = history.phases[0].cache
    assert cache is not None
    assert (cache.cached, cache.reason) == (
        False,
        "each step mixes the images of its batch (augment.mixup, augment.cutmix)",
    )


def test_mixing_changes_training_and_not_evaluations(do: Do, image_recipe: str) -> None:
    plain = do(image_recipe, "frozen.cache=false")[1]
    mixed = do(image_recipe + AUGMENTED)[1]
    assert [step.loss for step in plain.steps] != [step.loss for step in mixed.steps]
    assert plain.evaluations[0].loss == mixed.evaluations[0].loss


@ON_OTHER_BACKENDS
def test_mixed_steps_go_on_exactly_on_other_backends(do: Do, image_recipe: str) -> None:
    sets = ("augment.cutmix=1", "model.label_smoothing=0.1", "phase.head.epochs=1")
    _, whole, run = do(image_recipe + AUGMENTED, OWN_BACKEND, *sets, *EVERY_STEP)
    check_goes_on(run, whole, [2])
