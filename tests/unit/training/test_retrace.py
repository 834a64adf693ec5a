"""The batches at which TensorFlow traces a step."""

from __future__ import annotations

import pytest

from ftapp.training.retrace import pick_traced


@pytest.mark.parametrize(
    ("sizes", "traced"),
    [
        ([(8, 16), (8, 16), (8, 16)], [0]),
        ([(8, 16), (8, 16), (4, 16), (8, 16), (2, 16)], [0, 2]),
        ([(8, 16), (8, 12), (8, 10), (4, 12), (3, 11)], [0, 1, 3]),
        ([(4, 16), (8, 12), (8, 16)], [0, 1]),
        ([], []),
    ],
)
def test_a_batch_is_traced_where_no_trace_is_for_its_sizes(sizes: list[tuple[int, int]], traced: list[int]) -> None:
    assert list(pick_traced((size, place) for place, size in enumerate(sizes))) == traced
