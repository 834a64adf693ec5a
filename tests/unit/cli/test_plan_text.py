"""The text of a plan."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from ftapp.cli.plan_text import render_plan


def render(reading: dict[str, Any] | None) -> str:
    output = io.StringIO()
    plan: dict[str, Any] = {"precision": "float32", "reason": "as the recipe says", "examples": {"train": 1_000_000}}
    plan |= {"classes": [], "data_notes": [], "warnings": [], "phases": [], "reading": reading}
    Console(file=output, width=200).print(render_plan(plan))
    return output.getvalue()


@pytest.mark.parametrize(
    ("seconds", "check_seconds", "expected"),
    [
        (30.0, 20.0, "reading the data: 30 s, 10.0 MiB of memory; 20 s to check 1,000,000 new images, which a run"),
        (30.0, 0.5, "reading the data: 30 s, 10.0 MiB of memory\n"),
        (0.5, 0.0, ""),
    ],
)
def test_a_plan_tells_the_time_of_reading_data_and_of_the_check_that_is_kept(
    seconds: float, check_seconds: float, expected: str
) -> None:
    reading = {"seconds": seconds, "memory": 10 << 20, "checked": 1_000_000, "check_seconds": check_seconds}
    written = render(reading)
    assert expected in written
    assert ("reading the data" in written) == bool(expected)
    assert ("new images" in written) == (check_seconds > 1)


def test_a_plan_of_data_that_are_read_beside_keras_tells_no_time_of_reading() -> None:
    assert "reading the data" not in render(None)
