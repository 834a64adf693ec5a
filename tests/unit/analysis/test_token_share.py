"""Common tokens and their share in a text, by counts that can be done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ftapp.analysis import statistics
from ftapp.analysis.metrics.token_share import find_common_tokens, measure_token_share


def test_the_most_frequent_tokens_are_common() -> None:
    tokens = np.array([[5, 5, 5, 2], [2, 9, 7, 9]], np.int32)
    assert find_common_tokens(tokens, 2).tolist() == [5, 2]
    assert find_common_tokens(tokens, 3).tolist() == [5, 2, 9]
    assert sorted(find_common_tokens(tokens, 100).tolist()) == [2, 5, 7, 9]


def test_share_of_a_text() -> None:
    common = np.array([5, 2])
    assert measure_token_share(np.array([5, 1, 2, 3]), common) == 0.5
    assert measure_token_share(np.array([], np.int64), common) is None


def test_gain_has_welchs_interval() -> None:
    random = np.random.default_rng(0)
    held = [
        statistics.estimate_mean_difference(
            random.normal(0.4, 0.1, 16).tolist(), random.normal(0.5, 0.2, 24).tolist()
        ).contains(0.1)
        for _ in range(400)
    ]
    assert 0.92 <= np.mean(held) <= 0.98
    same = statistics.estimate_mean_difference([0.5, 0.5], [0.75, 0.75])
    assert (same.low, same.high) == pytest.approx((0.25, 0.25))
