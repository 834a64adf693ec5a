"""Learning rates from curves whose steepest and lowest points are known, and none from curves without a fall."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from ftapp.analysis import lr_suggestions
from ftapp.analysis.lr_suggestions import LossCurve, advise


def swept(loss: Callable[[float], float], steps: int = 100, low: float = 1e-6, high: float = 10.0) -> LossCurve:
    """The curve of a test in which the loss is a function of the rate."""
    curve = LossCurve(steps)
    for rate in np.geomspace(low, high, steps):
        if not curve.add(float(rate), loss(float(rate))):
            break
    return curve


def bowl(rate: float) -> float:
    """Falls fastest at 1e-3, by the logistic function, and rises from 0.1 on, over the start from about 0.8."""
    place = math.log10(rate)
    return 2.3 - 1.8 / (1 + math.exp(-4 * (place + 3))) + 2.0 * max(0.0, place + 1) ** 2


def by_rule(curve: LossCurve) -> dict[str, float]:
    return {each.rule: each.rate for each in advise(curve, 1e-3).suggestions}


def test_rules_find_known_points() -> None:
    found = by_rule(swept(bowl))
    assert found["steep"] == pytest.approx(1e-3, rel=0.3)
    assert 0.005 < found["minimum"] < 0.012  # a tenth of the bottom, which is flat between 0.05 and 0.12
    assert 1e-5 < found["valley"] < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not_hide_a_fall(seed: int) -> None:
    random = np.random.default_rng(seed)
    curve = swept(lambda rate: bowl(rate) + random.normal(0, 0.15))
    found = by_rule(curve)
    assert 1e-4 < found["steep"] < 1e-2
    assert 1e-3 < found["minimum"] < 0.05
    advice = advise(curve, 1e-3)
    assert advice.rate is not None
    assert advice.rate == pytest.approx(sorted(found.values())[1], rel=0.06)
    assert advice.rate < 0.1, "it is below the rates at which the loss rises"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_flat_curve_suggests_nothing(seed: int, noise: float) -> None:
    random = np.random.default_rng(seed)
    advice = advise(swept(lambda _: 0.7 + random.normal(0, noise)), 1e-3)
    assert advice.rate is None
    assert advice.suggestions == []
    assert "no descent" in advice.sentences[0]
    assert "Try a higher --to" in advice.sentences[0]


def test_a_fall_within_the_noise_is_none() -> None:
    random = np.random.default_rng(1)
    assert advise(swept(lambda rate: 0.1 * bowl(rate) + random.normal(0, 0.5)), 1e-3).rate is None


def test_divergence_ends_the_test() -> None:
    curve = swept(lambda rate: bowl(rate) if rate < 0.1 else 100 * rate)
    assert curve.ended == "diverged"
    assert 0.1 < curve.rates[-1] < 0.5
    advice = advise(curve, own=0.2)
    assert advice.rate is not None
    assert advice.rate < 0.1
    assert any("rate is too high" in sentence for sentence in advice.sentences)


def test_a_small_loss_that_grows_has_not_diverged() -> None:
    curve = swept(lambda rate: 2.0 if rate < 1e-3 else 0.001 if rate < 0.1 else 0.5)
    assert curve.ended == "steps"


def test_divergence_at_once_suggests_nothing() -> None:
    advice = advise(swept(lambda rate: 1.0 if rate < 3e-6 else 1e6), 1e-3)
    assert advice.rate is None
    assert "try a lower --from" in advice.sentences[0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_test(bad: float) -> None:
    curve = swept(lambda rate: bowl(rate) if rate < 0.5 else bad)
    assert curve.ended == "not finite"
    assert np.isfinite(curve.losses).all()
    assert np.isfinite(curve.smoothed).all()
    assert by_rule(curve)["steep"] == pytest.approx(1e-3, rel=0.3)
    first = swept(lambda _: bad)
    assert first.losses == []
    assert "not finite at the first step" in advise(first, 1e-3).sentences[0]


def test_it_says_when_the_loss_still_fell_at_the_end() -> None:
    advice = advise(swept(bowl, high=3e-2), 1e-3)
    assert any("higher --to" in sentence for sentence in advice.sentences)


def test_it_says_when_rules_disagree_widely() -> None:
    # A slow fall over all rates, a fast one at the end.
    curve = swept(lambda rate: 3 - 0.1 * math.log10(rate) - (1.5 if rate > 0.5 else 0))
    found = by_rule(curve)
    assert max(found.values()) > 30 * min(found.values())
    assert any("disagree widely" in sentence for sentence in advise(curve, 1e-3).sentences)
    assert not any("disagree" in sentence for sentence in advise(swept(bowl), 1e-3).sentences)


def test_it_compares_with_the_recipe() -> None:
    assert "lies between them" in advise(swept(bowl), 1e-3).sentences[0]
    assert "times higher" in advise(swept(bowl), 1.0).sentences[0]
    assert "times lower" in advise(swept(bowl), 1e-6).sentences[0]


def averages(values: Iterable[float], beta: float) -> list[float]:
    """Weighted means by their definition: the latest value counts 1, the one before beta, and so on."""
    values = list(values)
    weights = [[beta ** (end - place) for place in range(end + 1)] for end in range(len(values))]
    return [float(np.average(values[: len(each)], weights=each)) for each in weights]


def test_smoothing_is_an_average_without_bias_or_lag() -> None:
    random = np.random.default_rng(0)
    curve = swept(lambda rate: bowl(rate) + random.normal(0, 0.1))
    assert curve.smoothed == pytest.approx(averages(curve.losses, curve.beta))
    assert swept(lambda _: 0.7).smoothed == pytest.approx([0.7] * 100)
    line = swept(lambda rate: 5 - math.log(rate))
    assert line.smoothed == pytest.approx([5 - math.log(center) for center in line.centers])


def test_valley_is_by_the_longest_decreasing_subsequence() -> None:
    values = [9.0, 1.0, 8.0, 7.0, 2.0, 6.0, 5.0, 3.0, 4.0]
    assert lr_suggestions._find_decreasing(values) == [1, 2, 2, 3, 4, 4, 5, 6, 6]


def test_window_leaves_out_what_diverged() -> None:
    curve = swept(lambda rate: bowl(rate) if rate < 0.1 else 100 * rate)
    low, high = lr_suggestions.choose_window(curve.losses, curve.smoothed)
    assert 0 <= low < 0.5
    assert 2.3 < high < 3
    low, high = lr_suggestions.choose_window([1.0, 1.0, 1.0], [1.0, 1.0, 1.0])
    assert low < 1 < high
