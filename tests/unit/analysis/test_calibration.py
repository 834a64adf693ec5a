"""The expected calibration error, by hand and on classifiers whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from ftapp.analysis.metrics.calibration import BINS, bin_confidences, measure_expected_error


def test_by_hand() -> None:
    bins = bin_confidences(np.array([0.55, 0.59, 0.95, 1.0], np.float32), np.array([True, False, True, True]))
    assert bins[:, 0].tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert bins[5] == pytest.approx([2, 1.14, 1])
    assert bins[9] == pytest.approx([2, 1.95, 2])
    assert measure_expected_error(bins) == pytest.approx((0.14 + 0.05) / 4)


def test_bins_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(2)
    confidence, is_right = random.uniform(0.3, 1, 500), random.random(500) < 0.7
    bins = bin_confidences(confidence, is_right)
    filled = bins[bins[:, 0] > 0]
    accuracy, mean_confidence = calibration_curve(is_right, confidence, n_bins=BINS, strategy="uniform")
    assert len(filled) == 7
    assert filled[:, 2] / filled[:, 0] == pytest.approx(accuracy)
    assert filled[:, 1] / filled[:, 0] == pytest.approx(mean_confidence)


def test_one_that_knows_its_chances_has_no_error_and_one_that_boasts_has() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, 50_000)
    is_right = random.random(50_000) < confidence
    assert measure_expected_error(bin_confidences(confidence, is_right)) < 0.02
    boasts = (confidence + 1) / 2
    assert measure_expected_error(bin_confidences(boasts, is_right)) == pytest.approx(0.125, abs=0.01)


def test_batches_add_up() -> None:
    random = np.random.default_rng(1)
    confidence, is_right = random.random(90), random.random(90) < 0.5
    parts = sum(bin_confidences(confidence[start : start + 30], is_right[start : start + 30]) for start in (0, 30, 60))
    assert parts == pytest.approx(bin_confidences(confidence, is_right))
