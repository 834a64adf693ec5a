"""Block lengths and intervals of the stationary bootstrap agree with those of the package arch."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from scipy import stats

from ftapp.analysis import statistics
from ftapp.analysis.statistics import Series


def autoregressive(steps: int, phi: float, seed: int) -> Series:
    """A series in which each value is `phi` times the one before, plus noise of variance 1."""
    noise = np.random.default_rng(seed).normal(size=steps + 50)
    for step in range(1, len(noise)):
        noise[step] += phi * noise[step - 1]
    return noise[50:]


@pytest.mark.parametrize(("steps", "phi"), [(200, 0.95), (400, 0.95), (1000, 0.9), (2000, 0.9)])
def test_the_mean_length_of_blocks_is_the_optimal_one(steps: int, phi: float) -> None:
    compared = 0
    for seed in range(20):
        series = autoregressive(steps, phi, seed)
        optimal = float(optimal_block_length(series)["stationary"].iloc[0])
        # Between the bounds of `block_length`; arch has an upper one of its own, the smaller of 3 sqrt(n) and n / 3.
        if 2 * steps ** (1 / 3) < optimal < min(steps / 5, 3 * steps**0.5):
            # arch begins the window of its covariances one lag later than the paper where correlations die out early.
            assert statistics.choose_block_length(series) == pytest.approx(optimal, rel=0.15)
            compared += 1
    assert compared >= 10


@pytest.mark.parametrize(("steps", "phi"), [(100, 0.0), (400, 0.5), (400, 0.9)])
def test_an_interval_of_a_mean_has_the_standard_error_of_resampled_means(steps: int, phi: float) -> None:
    series = 3.0 + autoregressive(steps, phi, seed=1)
    found = statistics.estimate_interval(lambda drawn: drawn[:, 0].mean(axis=1), [series[None]], level=True)
    length = statistics.choose_block_length(series)
    means = StationaryBootstrap(length, series, seed=2).apply(np.mean, 4000)
    # A block is one independent observation, so Student's t has one degree of freedom a block, less one for the mean.
    blocks = steps / length
    half = stats.t.ppf(0.975, blocks - 1) * means.std() * np.sqrt(blocks / (blocks - 1))
    assert found.estimate == pytest.approx(series.mean())
    # The standard error of 4,000 draws is itself known to 1.1%; the ratio of two of them to 1.6%.
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.06)
    assert found.high - found.estimate == pytest.approx(found.estimate - found.low)


def test_a_ratio_of_times_has_the_standard_error_of_resampled_pairs() -> None:
    """The series of both arms are resampled by the same blocks."""
    shared = 0.02 * autoregressive(300, 0.6, seed=3)
    a, b = (level + shared + 0.01 * autoregressive(300, 0.0, seed) for level, seed in ((0.5, 4), (0.3, 5)))
    found = statistics.estimate_time_saved([(a, b)])
    length = max(statistics.choose_block_length(each) for each in (a, b))
    drawn = StationaryBootstrap(length, a, b, seed=6).apply(lambda x, y: 1 - y.mean() / x.mean(), 4000)
    blocks = 300 / length
    half = stats.t.ppf(0.975, blocks - 1) * drawn.std() * np.sqrt(blocks / (blocks - 1))
    assert found.estimate == pytest.approx(1 - b.mean() / a.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.06)
