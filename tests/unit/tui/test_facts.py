"""The table of facts: values that fit on one line stay on it."""

from __future__ import annotations

import pytest
from textual.content import Content

from ftapp.tui.widgets.facts import Facts


@pytest.mark.parametrize(
    ("width", "time"),
    [
        (46, "time     1 min 13 s   54 s         1 min 11 s"),
        (40, "time    1 min 13 s 54 s       1 min 11 s"),
        (39, "time     1 min 13  54 s       1 min 11"),
    ],
)
def test_a_smaller_gap_keeps_durations_on_one_line_where_they_fit(width: int, time: str) -> None:
    facts = Facts()
    facts.rows = [
        ("", Content("A full"), Content("B targeted"), Content("C reversed")),
        ("time", Content("1 min 13 s"), Content("54 s"), Content("1 min 11 s")),
        ("steps/s", Content("3.7343"), Content("7.0343"), Content("4.2024")),
    ]
    lines = [line.plain.rstrip() for line in facts._lines(width)]
    assert time in lines
