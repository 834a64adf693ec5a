"""The course of the learning rate."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from ftapp import recipe as recipes
from ftapp.recipe import Phase
from ftapp.recipe.schedule import compute_rate, count_evaluations, is_evaluated


def rates(steps: int, **keys: Any) -> list[float]:
    phase = Phase.model_validate({"name": "p", "steps": steps, "learning_rate": 1.0, **keys})
    return [compute_rate(phase, step, steps) for step in range(steps)]


def test_constant() -> None:
    assert rates(5) == [1.0] * 5


def test_warm_up_rises_to_the_whole_rate() -> None:
    assert rates(10, warmup=0.4) == pytest.approx([0.25, 0.5, 0.75, 1.0] + [1.0] * 6)


def test_linear_falls_in_equal_steps() -> None:
    assert rates(4, schedule="linear") == pytest.approx([1.0, 0.75, 0.5, 0.25])


def test_of_a_table_it_is_the_highest_rate() -> None:
    table = {"all": 0.1, "head": 2.0, "last:2": 0.5}
    assert rates(4, learning_rate=table, schedule="linear") == pytest.approx([2.0, 1.5, 1.0, 0.5])
    assert rates(2, learning_rate=table, layer_decay=0.5) == [2.0, 2.0]


def test_cosine_is_half_way_down_in_the_middle() -> None:
    course = rates(8, schedule="cosine")
    assert course[0] == 1.0
    assert course[4] == pytest.approx(0.5)
    assert course[7] == pytest.approx((1 + math.cos(math.pi * 7 / 8)) / 2)


@pytest.mark.parametrize("overrides", [[], ["keep.best=loss"]], ids=["last", "best"])
@pytest.mark.parametrize("every", [1, 3, 4, None])
def test_the_evaluations_of_a_phase_are_counted_as_they_are_made(every: int | None, overrides: list[str]) -> None:
    recipe = recipes.load(recipes.bundled()["bert-full"], None, [*overrides, f"evaluate.every={every or 1}"])
    recipe = recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"every": every})})
    for begin, steps, per_epoch, done in itertools.product((0, 2, 6), (1, 4, 5, 12), (1, 4, 20), (0, 1, 4, 12)):
        made = [is_evaluated(recipe, step, begin, (steps, per_epoch)) for step in range(done + 1, steps + 1)]
        assert count_evaluations(recipe, done, begin, (steps, per_epoch)) == sum(made)
