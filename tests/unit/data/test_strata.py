"""Strata: what splits have in proportion where labels are classes, sets of classes, or numbers."""

from __future__ import annotations

import numpy as np

from ftapp.data.strata import find_strata


def test_the_stratum_of_a_class_is_the_class() -> None:
    assert find_strata(np.array([2, 0, 1], np.int32)).tolist() == [2, 0, 1]


def test_the_stratum_of_a_set_is_its_rarest_class() -> None:
    sets = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0]], bool)
    assert find_strata(sets).tolist() == [1, 2, 3, 0, 1]


def test_numbers_fall_into_ten_ranges_of_equal_size() -> None:
    strata = find_strata(np.random.default_rng(0).permutation(1000).astype(np.float32))
    assert np.bincount(strata).tolist() == [100] * 10


def test_few_numbers_and_equal_ones_have_fewer_ranges() -> None:
    assert set(find_strata(np.arange(12, dtype=np.float32)).tolist()) == {0}
    assert set(find_strata(np.ones(200, np.float32)).tolist()) <= {0, 1}
    stars = np.repeat(np.arange(1, 6), [10, 20, 30, 100, 240]).astype(np.float32)
    strata = find_strata(stars)
    assert all(len(set(strata[stars == each].tolist())) == 1 for each in range(1, 6))
