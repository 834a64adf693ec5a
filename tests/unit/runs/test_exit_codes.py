"""The exit code of a command that has done several things."""

from __future__ import annotations

import pytest

from ftapp.runs.exit_codes import combine_exit_codes


@pytest.mark.parametrize(
    ("codes", "combined"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 2], 2),
        ([2, 1], 1),
        ([1, 75], 75),
        ([75, 130], 130),
        ([-9, 2], 1),
    ],
)
def test_the_most_important_exit_code_wins(codes: list[int], combined: int) -> None:
    assert combine_exit_codes(codes) == combined
