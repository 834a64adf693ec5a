"""Differences between two arms that saw the same batches, with intervals.

A series is what one run gave step by step: float64 (steps,). An arm that was run with several seeds has one a repeat.
With three repeats or more an interval speaks of seeds in general: Student's t over the repeats, or over the folds of
cross-validation with a correction for what they share. With fewer it speaks of these runs alone, of the chance in their
batches: the stationary bootstrap (Politis and Romano 1994, The Stationary Bootstrap) resamples blocks of steps that
follow each other, since neighbouring steps are not independent. Losses fall while a model trains, so what is resampled
is the deviation from a smooth course, a cubic of the step.

In simulations such an interval held the true mean in 95 to 99 of 100 cases when the deviations were independent, and in
88 to 94 when neighbours were correlated by 0.5, with 10, 25, 60, 100 or 129 steps. By 0.8 it was 58 of 100 with 10
steps, 78 with 25 and 83 with 100: a series that drifts so slowly tells little of itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Series = NDArray[np.float64]
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From (draws, series, steps) to (draws,)."""

CONFIDENCE = 0.95
SEEDS = 3
"""So many repeats or more are a sample of seeds."""
FEWEST = 2
"""Steps that an interval takes at least: one does not tell how much it scatters."""

_LARGEST = 700.0  # of the logarithms whose number is a float
DRAWS = 4000
_DRAWN_AT_ONCE = 250
_LONGEST = 4000  # steps; longer series are averaged over neighbours first
_FEWEST_BLOCKS = 5
_DEGREE = 3
_STEPS_OF_CUBIC = 60
_STRETCH = 32  # steps


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        estimate: the value that was measured.
        low: the lower end of the interval.
        high: the upper end of the interval.
        repeats: how many runs of each arm it rests on.
        of_seeds: whether it speaks of seeds in general (Student's t over repeats) or of these runs' steps (bootstrap).
        of_folds: whether it speaks of folds of cross-validation (Student's t over folds, corrected).
    """

    estimate: float
    low: float
    high: float
    repeats: int = 1
    of_seeds: bool = False
    of_folds: bool = False

    def contains(self, value: float) -> bool:
        """Whether a value lies in the interval, give or take rounding."""
        rounding = 1e-9 * max(1.0, abs(value))
        return self.low - rounding <= value <= self.high + rounding


def choose_block_length(series: Series) -> float:
    """Choose the mean length of blocks for the bootstrap of a series, in steps, from 1 up.

    By the rule of Politis and White 2004, "Automatic block-length selection for the dependent bootstrap", as corrected
    by Patton, Politis and White 2009, between twice the cube root of the number of steps, at which such lengths grow,
    and a fifth of the series. The rule by itself is too short where it sees few steps.
    """
    n = len(series)
    centred = series - series.mean()
    if n < 2 * _FEWEST_BLOCKS or not centred.any():
        return 1.0
    run = max(5, math.ceil(math.log10(n)))
    most = min(math.ceil(math.sqrt(n)) + run, n - 1)
    covariances = np.array([centred[: n - lag] @ centred[lag:] / n for lag in range(most + 1)])
    small = np.abs(covariances[1:] / covariances[0]) < 2 * math.sqrt(math.log10(n) / n)
    # The first lag behind which so many correlations in a row are as good as zero.
    lag = next((lag for lag in range(most - run + 1) if small[lag : lag + run].all()), None)
    if lag is None:
        lag = int(np.flatnonzero(~small)[-1]) + 1
    width = min(2 * max(lag, 1), most)
    lags = np.arange(1, width + 1)
    window = np.minimum(1.0, 2 * (1 - lags / width))
    spectrum = covariances[0] + 2 * float(window @ covariances[1 : width + 1])
    slope = 2 * float((window * lags) @ covariances[1 : width + 1])
    if spectrum <= 0:
        return 1.0
    length = (slope**2 / spectrum**2 * n) ** (1 / 3)  # (2 slope^2 / (2 spectrum^2) n)^(1/3)
    return float(np.clip(max(length, 2 * n ** (1 / 3)), 1.0, n / _FEWEST_BLOCKS))


def estimate_interval(
    statistic: Statistic,
    repeats: Sequence[NDArray[np.float64]],
    *,
    level: bool = False,
    overlap: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Estimate a statistic of paired series, with its interval.

    Args:
        statistic: what is estimated, from (draws, series, steps) to (draws,).
        repeats: for each repeat an array (series, steps), the series paired step by step.
        level: whether the series have a constant level. Otherwise they have a smooth course, which is not resampled.
        overlap: as in `estimate_mean`.
        draws: how often the series are resampled, where there are too few repeats for Student's t over them.
        seed: of the resampling.

    Raises:
        ValueError: there is no repeat, or one of fewer than two steps.
    """
    if not repeats or not all(each.ndim == 2 and each.shape[1] >= FEWEST for each in repeats):
        raise ValueError(
            f"an interval is of one repeat or more, each (series, {FEWEST} steps or more); "
            f"got {[each.shape for each in repeats]}"
        )
    repeats = [_thin(each) for each in repeats]
    values = np.array([float(statistic(each[None])[0]) for each in repeats])
    if len(values) >= SEEDS:
        return estimate_mean(values, overlap)
    random = np.random.default_rng(seed)
    drawn, degrees = zip(*(_bootstrap(statistic, each, level, random, draws) for each in repeats), strict=True)
    # The t interval with the bootstrap's standard error: quantiles of what is drawn cannot reach beyond a few blocks
    # (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 5.3).
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, min(degrees)) * np.mean(drawn, axis=0).std())
    estimate = float(values.mean())
    return Interval(estimate, estimate - half, estimate + half, len(values))


def compute_rounding_deviation(examples: int) -> float:
    """Compute the standard deviation that differences of a proportion have at least.

    A proportion of n examples is a multiple of 1/n. So its differences may be the same over all repeats by chance: they
    scatter at least as two numbers that are rounded so.

    Args:
        examples: On how many the proportion was measured; 0 where their number is not known, which gives 0.
    """
    return 1 / examples / math.sqrt(6) if examples else 0.0


def estimate_mean(
    values: Sequence[float] | Series,
    overlap: float | None = None,
    *,
    confidence: float = CONFIDENCE,
    least_deviation: float = 0.0,
) -> Interval:
    """Estimate the mean of one value a repeat, with Student's t interval over two repeats or more.

    Folds share most of their training examples, so their values depend on each other and scatter too little. The
    variance of their mean is taken as s^2 (1/n + test examples / training examples), the correction of Nadeau and
    Bengio 2003, "Inference for the Generalization Error". It is a rule of thumb: no estimate of this variance from one
    cross-validation is unbiased (Bengio and Grandvalet 2004, "No Unbiased Estimator of the Variance of K-Fold
    Cross-Validation").

    Args:
        values: one value a repeat.
        overlap: where the repeats are folds, test examples over training examples; None for seeds.
        confidence: of the interval.
        least_deviation: the standard deviation that values have at least, such as that of their rounding.
    """
    values = np.asarray(values, np.float64)
    mean, n = float(values.mean()), len(values)
    scale = math.sqrt(1 / n + (overlap or 0.0))
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * max(float(values.std(ddof=1)), least_deviation) * scale
    return Interval(mean, mean - half, mean + half, n, of_seeds=overlap is None, of_folds=overlap is not None)


def _bootstrap(
    statistic: Statistic, series: NDArray[np.float64], level: bool, random: np.random.Generator, draws: int
) -> tuple[NDArray[np.float64], float]:
    """The statistic of resampled series (draws,), and how many degrees of freedom these have."""
    n = series.shape[1]
    fitted = 1 if level else _count_fitted(n)
    trend = np.stack([_fit_trend(each, fitted) for each in series])
    rest = series - trend
    length = max(choose_block_length(each) for each in rest)
    blocks = n / length
    degrees = max(1.0, blocks - fitted)
    rest = rest * math.sqrt(blocks / degrees)
    drawn = [
        statistic(trend + np.moveaxis(rest[:, _resample(n, length, _DRAWN_AT_ONCE, random)], 0, 1))
        for _ in range(draws // _DRAWN_AT_ONCE)
    ]
    return np.concatenate(drawn), degrees


def _resample(n: int, length: float, draws: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Which steps take the places of all: int64 (draws, n), blocks of random length that wrap around the end."""
    begins = random.random((draws, n)) < 1 / length
    begins[:, 0] = True
    places = np.arange(n)
    begun = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    starts = np.take_along_axis(random.integers(0, n, (draws, n)), begun, axis=1)
    resampled: NDArray[np.int64] = (starts + places - begun) % n
    return resampled


def _count_fitted(n: int) -> int:
    """How many numbers the course of a series of n steps has."""
    return 1 + (_DEGREE if n >= _STEPS_OF_CUBIC else 1 if n >= 2 * _FEWEST_BLOCKS else 0)


def _fit_trend(series: Series, fitted: int) -> Series:
    """The course of a series: a cubic where it is long enough for one, else a straight line, or its mean."""
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(series)), fitted - 1)
    course: Series = basis @ np.linalg.lstsq(basis, series, rcond=None)[0]
    return course


def _thin(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of neighbours where there are more steps than an interval needs; the last few may be left out."""
    together = -(-series.shape[1] // _LONGEST)
    kept = series.shape[1] // together * together
    thin: NDArray[np.float64] = series[:, :kept].reshape(len(series), -1, together).mean(axis=2)
    return thin


def estimate_difference(
    pairs: Sequence[tuple[Series, Series]], *, overlap: float | None = None, draws: int = DRAWS
) -> Interval:
    """Estimate the mean of B - A over the steps.

    Args:
        pairs: for each repeat the series of A and of B on the same batches.
        overlap: as in `estimate_mean`.
        draws: as in `estimate_interval`.
    """
    rests = [(b - a)[None] for a, b in pairs]
    return estimate_interval(lambda drawn: drawn[:, 0].mean(axis=1), rests, overlap=overlap, draws=draws)


def estimate_share_under_line(pairs: Sequence[tuple[Series, Series]], overlap: float | None = None) -> Interval:
    """Estimate the share of points (B, A) under the line y = x, which are steps at which A was below B.

    Args:
        pairs: for each repeat the series of A and of B on the same batches.
        overlap: as in `estimate_mean`.
    """
    rests = [(b - a)[None] for a, b in pairs]
    return estimate_interval(lambda drawn: (drawn[:, 0] > 0).mean(axis=1), rests, overlap=overlap)


def estimate_time_saved(
    pairs: Sequence[tuple[Series, Series]], once: tuple[float, float] = (0.0, 0.0), overlap: float | None = None
) -> Interval:
    """Estimate the share of A's time that B saves, r = (T_A - T_B) / T_A.

    Args:
        pairs: for each repeat the seconds of the steps of A and of B.
        once: seconds that A and B spend beside their steps, such as for features that are computed once.
        overlap: as in `estimate_mean`.
    """

    def saving(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = (drawn[:, arm].mean(axis=1) * steps + beside for arm, beside in enumerate(once))
        r: NDArray[np.float64] = 1 - b / a
        return r

    steps = pairs[0][0].shape[0]
    return estimate_interval(saving, [np.stack(pair) for pair in pairs], level=True, overlap=overlap)


def measure_windowed_variance(series: Series, window: int) -> tuple[Series, Series]:
    """Measure the variance within each window of so many steps.

    Args:
        series: float64 (steps,). Steps after the last whole window are left out.
        window: steps of a window.

    Returns:
        Two series (windows,): the plain variance, which also grows with how fast a loss falls, and the variance around
        the window's own straight line, which is how unsteadily it falls. A window needs two steps for the first and
        three for the second; NaN otherwise.
    """
    whole = series[: len(series) // window * window].reshape(-1, window)
    plain = whole.var(axis=1, ddof=1) if window > 1 else np.full(len(whole), np.nan)
    if window < 3:
        return plain, np.full(len(whole), np.nan)
    basis = np.stack([np.ones(window), np.linspace(-1, 1, window)], axis=1)
    rest = whole - (basis @ np.linalg.lstsq(basis, whole.T, rcond=None)[0]).T
    around: Series = (rest**2).sum(axis=1) / (window - 2)
    return plain, around


def estimate_variance_ratio(
    pairs: Sequence[tuple[Series, Series]], *, overlap: float | None = None, draws: int = DRAWS
) -> Interval:
    """Estimate the variance of B over that of A around their smooth courses, over the steps that are given.

    The course is a cubic in each stretch of some 32 steps: a loss falls steeply at first, and what a stiffer course
    leaves of that would count as variance, of the one that falls faster as more.
    """

    def logarithm(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = drawn[:, 0].var(axis=1), drawn[:, 1].var(axis=1)
        ratios: NDArray[np.float64] = np.divide(b, a, out=np.ones_like(a), where=(a > 0) & (b > 0))
        return np.log(ratios)

    rests = [np.stack([_remove_trend(each) for each in pair]) for pair in pairs]
    return exponentiate(estimate_interval(logarithm, rests, level=True, overlap=overlap, draws=draws))


def _remove_trend(series: Series) -> Series:
    """What a series deviates from its course, a cubic in each stretch, or less where there are few steps."""
    stretches = np.array_split(series, max(1, len(series) // _STRETCH))
    return np.concatenate([each - _fit_trend(each, 1 + min(_DEGREE, len(each) // 4)) for each in stretches])


def exponentiate(found: Interval) -> Interval:
    """Turn the interval of a logarithm into that of the ratio."""
    estimate, low, high = (math.exp(min(value, _LARGEST)) for value in (found.estimate, found.low, found.high))
    return replace(found, estimate=estimate, low=low, high=high)


def estimate_share_difference(right: tuple[int, int], of: tuple[int, int], repeats: int = 1) -> Interval:
    """Estimate the share of B minus the share of A, such as of accuracies.

    By Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10, from Wilson's
    intervals. Where both arms answered the same examples the interval is wider than it needs to be.

    Args:
        right: how many examples A and B have right.
        of: out of how many.
        repeats: how many runs of each arm the numbers rest on.
    """
    a, b = (estimate_share(count, total) for count, total in zip(right, of, strict=True))
    difference = b.estimate - a.estimate
    low = difference - math.hypot(b.estimate - b.low, a.high - a.estimate)
    high = difference + math.hypot(b.high - b.estimate, a.estimate - a.low)
    return Interval(difference, low, high, repeats)


def estimate_share(right: int, of: int, repeats: int = 1) -> Interval:
    """Estimate a share of so many examples, such as an accuracy, with Wilson's interval."""
    bounds = stats.binomtest(right, of).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(right / of, float(bounds.low), float(bounds.high), repeats)


def estimate_over_examples(
    measure: Callable[[NDArray[np.int64]], dict[str, float]], examples: int, *, draws: int = 400, seed: int = 0
) -> dict[str, Interval]:
    """Estimate measures of independent examples, with percentile intervals of the bootstrap (Efron 1979).

    Args:
        measure: Measures the examples of some indices, int64 (examples,), by names.
        examples: How many examples there are.
        draws: How often they are resampled.
        seed: Of the resampling.

    Returns:
        The estimates by the names of the measures; those that some draw leaves undefined are left out.
    """
    random = np.random.default_rng(seed)
    whole = measure(np.arange(examples))
    drawn = [measure(random.integers(0, examples, examples)) for _ in range(draws)]
    tails = 50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)
    found: dict[str, Interval] = {}
    for name, value in whole.items():
        values = [each.get(name, math.nan) for each in drawn]
        if np.isfinite(values).all():
            low, high = np.percentile(values, tails)
            found[name] = Interval(value, float(low), float(high))
    return found


def estimate_mean_difference(before: Sequence[float], after: Sequence[float]) -> Interval:
    """Estimate the mean of `after` minus that of `before`, two samples of two values or more, by Welch's t interval."""
    found = stats.ttest_ind(after, before, equal_var=False).confidence_interval(CONFIDENCE)
    difference = float(np.mean(after) - np.mean(before))
    if not math.isfinite(found.low):  # neither of them scatters
        return Interval(difference, difference, difference)
    return Interval(difference, float(found.low), float(found.high))


def build_table(found: Interval) -> dict[str, Any]:
    """Lay out an interval as JSON has it."""
    return {
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "confidence": CONFIDENCE,
        "repeats": found.repeats,
        "of_seeds": found.of_seeds,
        "of_folds": found.of_folds,
    }
