"""Times, sizes and operations in words."""

from __future__ import annotations

import pytest

from ftapp.words import duration, flops


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 FLOPs"),
        (573_440, "573 kFLOPs"),
        (999_999, "1 MFLOPs"),
        (60.04e9, "60 GFLOPs"),
        (1.5e12, "1.5 TFLOPs"),
        (4e16, "40,000 TFLOPs"),
    ],
)
def test_operations_in_three_digits(count: float, said: str) -> None:
    assert flops(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (0.04, "40 ms"),
        (9.94, "9.9 s"),
        (48, "48 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
