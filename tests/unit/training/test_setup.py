"""What a training needs before its first step fits together."""

from __future__ import annotations

import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.recipe import Recipe
from ftapp.training.setup import check_metrics, check_updates


def load(*overrides: str) -> Recipe:
    return recipe.load(recipe.find("vgg16-feature-extractor"), None, overrides)


@pytest.mark.parametrize(
    ("override", "key", "label"),
    [
        ("stop={ metric = 'macro-f1', patience = 2 }", "stop.metric", "macro F1"),
        ("keep.best=macro-f1", "keep.best", "macro F1"),
        ("keep.best=auc", "keep.best", "ROC AUC"),
    ],
)
def test_metrics_that_need_few_classes_are_refused_for_many(override: str, key: str, label: str) -> None:
    check_metrics(load(override), 100)
    with pytest.raises(RecipeError) as error:
        check_metrics(load(override), 101)
    assert [problem.key for problem in error.value.problems] == [key]
    assert f"{label} is measured for at most 100 classes" in str(error.value)
    assert "the data have 101; did you mean 'accuracy'?" in str(error.value)


def test_other_metrics_are_measured_for_any_number_of_classes() -> None:
    check_metrics(load("stop={ patience = 2 }", "keep.best=accuracy"), 1000)


def test_an_update_of_more_batches_than_a_phase_has_is_refused() -> None:
    found = load("phase.head.epochs=2", "phase.head.batch_size=8", "phase.head.accumulate=6")
    name = found.phase[0].name
    check_updates(found, 17)
    with pytest.raises(RecipeError) as error:
        check_updates(found, 16)
    assert [problem.key for problem in error.value.problems] == [f"phase.{name}.accumulate"]
    assert "6 batches make an update, and the phase has 4; the most is 4" in str(error.value)
