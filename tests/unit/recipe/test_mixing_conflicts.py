"""Mixed examples need labels that can be shares, batches of several, and features that nobody caches."""

from __future__ import annotations

import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.tui import recipe_words


def problems(*overrides: str, name: str = "vgg16-two-phase") -> str:
    with pytest.raises(RecipeError) as caught:
        recipe.load(recipe.find(name), None, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["augment.mixup=0.2", "model.head=linear-svm"],
            "augment.mixup: this key does not go with head = 'linear-svm'",
        ),
        (
            ["augment.cutmix=1", "frozen.engine=openvino"],
            "augment.cutmix: this key does not go with frozen.engine = 'openvino', which computes cached features",
        ),
        (["augment.mixup=0.2", "phase.head.batch_size=1"], "1 example is too few for augment.mixup"),
        (["augment.mixup=1.5"], "augment.mixup: 1.5 is too large; the most is 1"),
    ],
)
def test_what_does_not_go_with_mixed_examples(overrides: list[str], said: str) -> None:
    assert said in problems(*overrides)


def test_texts_are_not_mixed() -> None:
    found = problems("augment.mixup=0.2", name="bert-full")
    assert "augment.mixup: this key does not go with task = 'text-classification'" in found


def test_mixing_is_described() -> None:
    sets = ["augment.mixup=0.2", "augment.cutmix=1", "augment.rand_augment=0.3", "augment.flip=none"]
    loaded = recipe.load(recipe.find("vgg16-two-phase"), None, sets)
    assert loaded.augment
    assert recipe_words.describe_augment(loaded.augment).endswith("RandAugment 0.3, mixup 0.2, CutMix 1")
