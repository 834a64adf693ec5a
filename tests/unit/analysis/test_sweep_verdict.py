"""What is said of the best trials of a sweep: a winner beyond the noise, and no win where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ftapp.analysis.sweep_verdict import choose_winner, compare_finalists
from ftapp.recipe.metrics import ACCURACY, LOSS


def test_a_clear_difference_is_a_win_with_its_interval() -> None:
    own = {seed: 0.5 + 0.01 * (seed % 2) for seed in range(2, 7)}
    values = {
        "recipe": own,
        "trial 1": {seed: value + 0.3 + 0.002 * seed for seed, value in own.items()},
        "trial 2": {seed: value + 0.1 * (-1) ** seed for seed, value in own.items()},
    }
    finalists = compare_finalists(values, "recipe", ACCURACY)
    winner = choose_winner(finalists, ACCURACY)
    assert winner is not None
    assert winner.arm == "trial 1"
    assert winner.describe(ACCURACY) == (
        "trial 1 beats the recipe's own values in validation accuracy by 30.8 points over 5 new seeds, 81.20% against "
        "50.40%, interval of the difference 30.3 to 31.3 points."
    )
    assert "trial 2 cannot be told from the recipe's own values" in finalists[1].describe(ACCURACY)
    differences = [0.3 + 0.002 * seed for seed in range(2, 7)]
    half = stats.t.ppf(1 - 0.05 / 2 / 2, 4) * np.std(differences, ddof=1) / np.sqrt(5)
    assert winner.difference is not None
    assert winner.difference.high - winner.difference.estimate == pytest.approx(half)


def test_values_without_an_effect_are_no_win() -> None:
    same = {seed: 0.1 * seed for seed in range(2, 7)}
    finalists = compare_finalists({"recipe": same, "trial 1": dict(same)}, "recipe", ACCURACY)
    assert choose_winner(finalists, ACCURACY) is None
    assert finalists[0].describe(ACCURACY).endswith("the values have no effect on it.")


def test_differences_that_are_the_same_by_rounding_are_no_win() -> None:
    values = {"recipe": {2: 0.5, 3: 0.625, 4: 0.75}, "trial 1": {2: 0.625, 3: 0.75, 4: 0.875}}
    (found,) = compare_finalists(values, "recipe", ACCURACY, 8)
    assert not found.beats(ACCURACY)
    assert "cannot be told from" in found.describe(ACCURACY)
    (found,) = compare_finalists(values, "recipe", ACCURACY, 1000)
    assert found.beats(ACCURACY)
    (equal,) = compare_finalists({"recipe": values["recipe"], "trial 1": values["recipe"]}, "recipe", ACCURACY, 8)
    assert "cannot be told from" in equal.describe(ACCURACY)


def test_the_better_side_follows_the_metric() -> None:
    values = {"recipe": {2: 1.0, 3: 1.1, 4: 0.9}, "trial 1": {2: 0.51, 3: 0.59, 4: 0.4}}
    finalists = compare_finalists(values, "recipe", LOSS)
    assert choose_winner(finalists, LOSS) is finalists[0]
    assert choose_winner(finalists, ACCURACY) is None
    assert "is worse than the recipe's own values" in finalists[0].describe(ACCURACY)


def test_a_win_is_claimed_by_chance_in_at_most_one_of_twenty_sweeps() -> None:
    random, claims, sweeps = np.random.default_rng(0), 0, 1000
    for _ in range(sweeps):
        noise = random.normal(0.8, 0.05, (4, 5))
        values = {name: dict(enumerate(row)) for name, row in zip(("recipe", "a", "b", "c"), noise, strict=True)}
        claims += choose_winner(compare_finalists(values, "recipe", ACCURACY), ACCURACY) is not None
    assert 0 < claims / sweeps < 0.05


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({}, "0 new seeds have a result of the recipe's own values too, and 3 are the least"),
        ({2: 0.4}, "1 new seed has a result of the recipe's own values too, and 3 are the least"),
    ],
)
def test_too_few_seeds_are_no_comparison(own: dict[int, float], message: str) -> None:
    (found,) = compare_finalists({"recipe": own, "trial 1": {2: 0.5, 3: 0.6, 4: 0.7}}, "recipe", ACCURACY)
    assert message in found.describe(ACCURACY)
    assert choose_winner([found], ACCURACY) is None
