"""Ticks of axes in rows of text are round numbers at equal distances, whatever the values and however few the rows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ftapp.common.ticks import fit_axis, labels
from ftapp.report import svg

SPANS = [
    (0.0, 1.0),
    (0.604, 0.703),
    (0.38, 1.0),
    (0.0113, 0.0114),
    (1.0, 1_000_000.0),
    (-3.5, 2.25),
    (5e-7, 9e-7),
    (1.0329, 1.0344),
    (2.65, 3.78),
    (0.0, 0.3),
    (1e-30, 2e-30),
    (1e8, 3e8),
]


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("rows", [*range(2, 13), 20, 37, 60])
def test_ticks_are_round_and_as_many_rows_apart(span: tuple[float, float], rows: int) -> None:
    axis = fit_axis(*span, rows)
    assert axis.low < span[0] < span[1] < axis.high
    mantissa = axis.interval / 10 ** math.floor(math.log10(axis.interval) + 1e-9)
    assert round(mantissa, 6) in (1, 2, 5)
    found = [axis.find_row(tick) for tick in axis.ticks]
    assert all(0 <= row < rows for row in found)
    assert {b - a for a, b in itertools.pairwise(found)} <= {axis.between}
    if rows >= 4:
        assert len(found) >= 2
        assert axis.between >= 2
        assert axis.high - axis.low <= (1.7 if rows >= 8 else 2.5) * (span[1] - span[0])
    assert len(set(axis.labels())) == len(found)
    for tick, row in zip(axis.ticks, found, strict=True):  # as a chart maps it
        height = (axis.high - axis.low) / rows
        assert (tick - axis.low) / height == pytest.approx(row + 0.5, abs=1e-6)


@pytest.mark.parametrize(
    "span", [(0.01, 100.0), (0.6, 0.7), (0.02, 2.0), (1.0, 3.0), (1e-5, 4.0), (1.001, 1.0011), (20, 900)]
)
@pytest.mark.parametrize("rows", [4, 5, 8, 12, 20, 37])
def test_ticks_of_a_logarithmic_axis_are_as_many_rows_apart(span: tuple[float, float], rows: int) -> None:
    low, high = map(math.log10, span)
    axis = fit_axis(low, high, rows, log=True)
    assert axis.low < low < high < axis.high
    found = [axis.find_row(tick) for tick in axis.ticks]
    assert len(found) >= 2
    assert {b - a for a, b in itertools.pairwise(found)} == {axis.between}
    assert len(set(axis.labels())) == len(found)


def test_a_logarithmic_axis_of_decades_names_powers_of_ten_and_a_short_one_of_two() -> None:
    assert fit_axis(-2, 2, 20, log=True).labels() == ["0.01", "0.1", "1", "10", "100"]
    assert fit_axis(-6, 1, 16, log=True).labels()[0] == "1e-06"
    assert fit_axis(math.log10(0.3), math.log10(1.9), 12, log=True).labels() == ["0.5", "1", "2"]


def test_labels_have_the_digits_of_the_interval() -> None:
    assert labels([0.6, 0.65, 0.7], 0.05) == ["0.60", "0.65", "0.70"]
    assert labels([0, 10_000, 20_000], 10_000) == ["0", "10k", "20k"]
    assert labels([0, 500_000, 1_000_000], 500_000) == ["0.0", "0.5M", "1.0M"]
    assert labels([1e-6, 2e-6], 1e-6) == ["1e-06", "2e-06"]
    assert labels([1.0332, 1.0334], 0.0002) == ["1.0332", "1.0334"]


@pytest.mark.parametrize("value", [0.0, 0.01, -3.0, 1e9])
def test_one_value_has_room_around_it(value: float) -> None:
    axis = fit_axis(value, value, 6)
    assert axis.low < value < axis.high
    assert len(axis.ticks) >= 2


@pytest.mark.parametrize("span", [(0.01, 100.0), (0.6, 0.7), (0.02, 2.0), (1e-6, 10.0), (1e-12, 1e12)])
def test_ticks_of_a_page_are_evenly_spaced_on_a_logarithmic_axis(span: tuple[float, float]) -> None:
    found = svg._choose_decades(*map(math.log10, span))
    assert 4 <= len(found) <= 14
    assert np.allclose(np.diff(np.log10(found), 2), 0, atol=1e-9)
    assert min(found) >= span[0] * 0.999999
    assert max(found) <= span[1] * 1.000001
