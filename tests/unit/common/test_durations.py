"""Lengths of time as people type them."""

from __future__ import annotations

import re

import pytest

from ftapp.common.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("55m", 3300),
        ("8h", 28800),
        ("1h30m", 5400),
        ("1h1m1s", 3661),
        ("1.5h", 5400),
        ("300", 300),
        ("0.5", 0.5),
        ("1m30", 90),
    ],
)
def test_forms(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("55 min", "55m"),
        ("8 hours", "8h"),
        ("1:30:00", "1h30m"),
        ("05:30", "5m30s"),
        ("2d", "48h"),
        ("30m1h", "1h30m"),
        ("", "90s, 55m or 1h30m"),
        ("0", "90s, 55m or 1h30m"),
        ("-5", "90s, 55m or 1h30m"),
        ("inf", "90s, 55m or 1h30m"),
        ("soon", "90s, 55m or 1h30m"),
    ],
)
def test_other_forms_are_refused_with_the_rule_and_the_nearest_form(text: str, nearest: str) -> None:
    rule = "is no length of time above 0; it is written in hours, minutes and seconds, such as"
    with pytest.raises(ValueError, match=re.escape(f"{text!r} {rule} {nearest}") + "$"):
        parse_duration(text)
