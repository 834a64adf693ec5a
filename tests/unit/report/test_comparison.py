"""Values of recipes in the tables of a comparison."""

from __future__ import annotations

import pytest

from ftapp.report.comparison import format_setting


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.1, "0.1"),
        ("plain text", "plain text"),
        ("Q: {prompt}\nA:", '"Q: {prompt}\\nA:"'),
        ("\t", '"\\t"'),
        (["a", " b"], 'a, " b"'),
    ],
)
def test_a_value_is_on_one_line_and_its_ends_are_seen(value: object, shown: str) -> None:
    assert format_setting(value) == shown
