"""Curves: thinning keeps the extremes, smoothing is a mean of neighbours, the cursor finds the nearest point."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

from ftapp.tui import curves
from ftapp.tui.curves import Curve, smooth, thin, window_size


@pytest.mark.parametrize("points", [1, 2, 3, 10, 999, 1000, 10_007])
def test_thinning_keeps_extremes_ends_and_order(points: int) -> None:
    x = np.arange(1.0, points + 1)
    y = np.random.default_rng(points).normal(size=points)
    y[points // 3], y[points // 2] = 50.0, -50.0
    kept_x, kept_y = thin(x, y, x[0], x[-1], 40)
    assert len(kept_x) <= 2 * 41 + 2
    assert kept_y.max() == y.max()
    assert kept_y.min() == y.min()
    assert (kept_x[0], kept_x[-1]) == (x[0], x[-1])
    assert (np.diff(kept_x) > 0).all()
    assert np.array_equal(kept_y, y[kept_x.astype(int) - 1])


def test_thinning_a_part_keeps_a_point_beyond_each_edge() -> None:
    x = np.arange(100.0)
    kept_x, _ = thin(x, x, 20.5, 30.5, 200)
    assert list(kept_x) == list(range(20, 32))


def test_smoothing_is_the_mean_of_a_point_and_those_before_it() -> None:
    y = np.random.default_rng(0).normal(size=400)
    width = window_size(400)
    assert width == 10
    expected = [y[max(0, index - width + 1) : index + 1].mean() for index in range(400)]
    assert np.allclose(smooth(y), expected)
    assert np.allclose(smooth(y[:20]), y[:20])


def test_points_that_are_not_finite_are_left_out_and_arrays_are_not_copied() -> None:
    steps, losses = array("d", [1, 2, 3]), array("d", [0.5, float("nan"), 0.25])
    curve = Curve.of("train", steps, losses, "primary")
    assert curve.x.tolist() == [1, 3]
    assert curve.y.tolist() == [0.5, 0.25]
    whole = Curve.of("train", steps, steps, "primary")
    assert np.shares_memory(whole.y, np.frombuffer(steps))


def test_a_long_curve_keeps_extremes_its_last_point_and_exact_means(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.arange(1, 10_001), np.random.default_rng(0).normal(size=10_000)
    y[3333], y[6666], y[77] = 50.0, -50.0, np.inf
    whole = Curve.of("", x, y, "primary", noisy=True)
    monkeypatch.setattr(curves, "LONG", 1000)
    monkeypatch.setattr(curves, "_STRETCHES", 100)
    long = Curve.of("", x, y, "primary", noisy=True)
    assert len(long.x) <= 203
    assert long.count == whole.count == 9_999
    assert set(zip(long.x, long.y, strict=True)) <= set(zip(whole.x, whole.y, strict=True))
    assert (long.y.max(), long.y.min(), long.x[-1], long.y[-1]) == (50.0, -50.0, 10_000, y[-1])
    assert long.means is not None
    at, means = long.means
    assert at[-1] == 10_000
    assert np.array_equal(means, smooth(whole.y)[np.isin(whole.x, at)])


@pytest.mark.parametrize(("at", "found"), [(-5, 1.0), (1.4, 1.0), (2.6, 3.0), (3.4, 3.0), (99, 10.0)])
def test_the_nearest_point(at: float, found: float) -> None:
    curve = Curve.of("", [1, 3, 10], [0, 0, 0], "primary")
    point = curve.nearest(at)
    assert point is not None
    assert point[0] == found
    assert Curve.of("", [], [], "primary").nearest(at) is None
