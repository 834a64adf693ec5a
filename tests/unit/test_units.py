"""Sizes and operations in words."""

from __future__ import annotations

import pytest

from ftapp.units import flops


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 FLOPs"),
        (573_440, "573 kFLOPs"),
        (999_999, "1 MFLOPs"),
        (60.04e9, "60 GFLOPs"),
        (1.5e12, "1.5 TFLOPs"),
        (4e16, "40,000 TFLOPs"),
    ],
)
def test_operations_in_three_digits(count: float, words: str) -> None:
    assert flops(count) == words
