"""Intervals hold the truth as often as they say, and sentences claim no more than their interval."""

from __future__ import annotations

import numpy as np
import pytest

from ftapp.analysis import statistics, verdicts
from ftapp.analysis.statistics import Interval, Series


def falling(steps: int = 120, seed: int = 0) -> Series:
    """Losses that fall, with the noise of their batches."""
    random = np.random.default_rng(seed)
    losses: Series = 2 * np.exp(-np.linspace(0, 4, steps)) + 0.5 + random.normal(0, 0.2, steps)
    return losses


def correlated(steps: int, phi: float, random: np.random.Generator) -> Series:
    noise = random.normal(size=steps + 50)
    for step in range(1, len(noise)):
        noise[step] += phi * noise[step - 1]
    return noise[50:]


def test_identical_arms_differ_by_nothing() -> None:
    losses = falling()
    found = statistics.estimate_difference([(losses, losses)])
    assert (found.estimate, found.low, found.high) == (0, 0, 0)
    assert statistics.estimate_share_under_line([(losses, losses)]).estimate == 0
    assert statistics.estimate_time_saved([(losses, losses)]).contains(0)
    assert statistics.estimate_variance_ratio([(losses, losses)]).contains(1)
    sentence = verdicts.describe_difference("A", "A again", "training loss", found)
    assert sentence == "A again and A have the same training loss to the last digit in this pair of runs."
    sentence = verdicts.describe_difference(
        "A", "A again", "training loss", statistics.estimate_difference([(losses, losses)] * 3)
    )
    assert sentence == "A again and A have the same training loss to the last digit, over 3 seeds."


def test_arms_that_differ_by_noise_alone_cannot_be_told_apart() -> None:
    random, losses = np.random.default_rng(1), falling()
    found = statistics.estimate_difference([(losses, losses + random.normal(0, 0.05, len(losses)))])
    assert found.contains(0)
    assert found.high > found.low
    assert "cannot be told" in verdicts.describe_difference("A", "B", "training loss", found)


def test_a_difference_is_found_though_the_batches_scatter_more_than_it() -> None:
    losses = falling()
    higher = losses + 0.02 + np.random.default_rng(2).normal(0, 0.01, len(losses))
    found = statistics.estimate_difference([(losses, higher)])
    assert found.low < 0.02 < found.high
    assert found.low > 0.01
    sentence = verdicts.describe_difference("A full", "B targeted", "training loss", found)
    assert sentence.startswith("B targeted has a higher training loss than A full, by 0.0")
    lower = verdicts.describe_difference("A", "B", "training loss", statistics.estimate_difference([(higher, losses)]))
    assert "B has a lower training loss than A, by 0.0" in lower
    assert "interval 0.0" in lower


@pytest.mark.parametrize(
    ("steps", "phi", "least"), [(100, 0.0, 0.91), (100, 0.5, 0.86), (12, 0.0, 0.91), (12, 0.4, 0.86)]
)
def test_intervals_hold_the_truth(steps: int, phi: float, least: float) -> None:
    """Of the mean of a course that falls; 150 simulated runs, so 0.95 is seen as 0.91 to 0.99."""
    random, course = np.random.default_rng(3), 2 * np.exp(-5 * np.linspace(0, 1, steps))
    held = [
        statistics.estimate_difference(
            [(np.zeros(steps), course + correlated(steps, phi, random))], draws=500
        ).contains(course.mean())
        for _ in range(150)
    ]
    assert np.mean(held) >= least


def test_two_steps_have_students_t() -> None:
    """By hand: 0 and 1 have mean 1/2 and standard error 1/2; t is 12.706 at one degree of freedom."""
    found = statistics.estimate_difference([(np.zeros(2), np.array([0.0, 1.0]))])
    assert (found.low, found.high) == pytest.approx((0.5 - 12.706 / 2, 0.5 + 12.706 / 2), rel=0.05)


def test_blocks_are_longer_where_neighbours_depend_on_each_other() -> None:
    random = np.random.default_rng(4)
    independent, dependent = (
        np.mean([statistics.choose_block_length(correlated(400, phi, random)) for _ in range(20)])
        for phi in (0.0, 0.95)
    )
    assert independent < 20 < dependent <= 80
    assert statistics.choose_block_length(np.ones(100)) == 1


def test_three_repeats_speak_of_seeds() -> None:
    """By hand: differences 1, 2, 3 have mean 2 and standard error 1/sqrt(3); t is 4.303 at two degrees of freedom."""
    pairs = [(np.zeros(20), np.full(20, value)) for value in (1.0, 2.0, 3.0)]
    found = statistics.estimate_difference(pairs)
    assert found.of_seeds
    assert (found.low, found.high) == pytest.approx((2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5), abs=1e-3)
    assert "over 3 seeds" in verdicts.describe_difference("A", "B", "loss", found)
    assert not statistics.estimate_difference(pairs[:2]).of_seeds


def test_share_of_points_under_the_line() -> None:
    a = np.zeros(100)
    b = np.where(np.arange(100) % 4 == 0, -1.0, 1.0)
    found = statistics.estimate_share_under_line([(a, b)])
    assert found.estimate == 0.75
    assert 0.5 < found.low < 0.75 < found.high < 0.95


def test_time_saved_counts_what_is_spent_once() -> None:
    random = np.random.default_rng(5)
    a, b = 0.2 + 0.01 * random.random(100), 0.1 + 0.005 * random.random(100)
    found = statistics.estimate_time_saved([(a, b)])
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.02
    assert statistics.estimate_time_saved([(a, b)], once=(0.0, float(a.sum() - b.sum()))).estimate == pytest.approx(0)
    assert "saves 50% of the training time of A" in verdicts.describe_time_saved("A", "B", found)
    assert (
        "takes 101% more training time than B in this pair of runs (95% interval 100% to 101%"
        in verdicts.describe_time_saved("B", "A", statistics.estimate_time_saved([(b, a)]))
    )


def test_variance_in_windows_with_and_without_the_fall() -> None:
    straight = np.linspace(3, 0, 60)
    plain, around = statistics.measure_windowed_variance(straight, 20)
    assert len(plain) == len(around) == 3
    assert (plain > 0.01).all()
    assert around == pytest.approx(np.zeros(3), abs=1e-20)
    noise = np.random.default_rng(6).normal(0, 0.5, 4000)
    _, around = statistics.measure_windowed_variance(noise + np.linspace(9, 0, 4000), 50)
    assert around.mean() == pytest.approx(0.25, rel=0.05)


def test_ratio_of_variances() -> None:
    random = np.random.default_rng(7)
    a, b = falling(400) * 0 + random.normal(0, 2, 400), random.normal(0, 1, 400)
    found = statistics.estimate_variance_ratio([(a, b)])
    assert found.low < 0.25 < found.high < 1
    several = statistics.estimate_variance_ratio([(random.normal(0, 1, 50), random.normal(0, 1, 50)) for _ in range(3)])
    assert several.of_seeds
    assert 0 < several.low < 1 < several.high


@pytest.mark.parametrize("steps", [32, 130])
def test_a_loss_that_falls_faster_is_not_less_steady(steps: int) -> None:
    """The same noise around two courses, 60 times: the ratio is 1, and its interval holds that."""
    random, time = np.random.default_rng(9), np.arange(steps) / 32
    found = []
    for _ in range(60):
        batches = random.normal(0, 0.2, steps)
        a, b = (batches + random.normal(0, 0.05, steps) for _ in range(2))
        pair = a + 2.3 * np.exp(-4 * time), b + 1.1 * np.exp(-2.5 * time)
        found.append(statistics.estimate_variance_ratio([pair], draws=250))
    assert np.median([each.estimate for each in found]) == pytest.approx(1, abs=0.05)
    assert np.mean([each.contains(1) for each in found]) > 0.8


def test_difference_of_accuracies_has_newcombes_interval() -> None:
    """The example of the paper: 56/70 against 48/80 gives 0.0524 to 0.3339 (Newcombe 1998, table II, method 10)."""
    found = statistics.estimate_share_difference((48, 56), (80, 70))
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    sentence = verdicts.describe_difference("A", "B", "test accuracy", found, percent=True)
    assert sentence == (
        "B has a higher test accuracy than A, by 20.0 points in this pair of runs (95% interval 5.2 to 33.4 points)."
    )


def test_short_and_long_series() -> None:
    found = statistics.estimate_difference([(np.zeros(9001), np.random.default_rng(8).normal(1, 1, 9001))])
    assert found.low < 1 < found.high
    with pytest.raises(ValueError, match="one repeat or more"):
        statistics.estimate_difference([])
    with pytest.raises(ValueError, match=r"2 steps or more\); got \[\(1, 1\)\]"):
        statistics.estimate_difference([(np.zeros(1), np.ones(1))])


def test_a_sentence_never_says_minus_zero() -> None:
    found = Interval(-1e-9, -2e-9, -1e-10)
    assert "-0.0" not in verdicts.describe_difference("A", "B", "accuracy", found, percent=True)
