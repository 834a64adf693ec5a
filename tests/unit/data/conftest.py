"""What tests of data share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.images import noise, write


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Ten PNG images of each of two classes."""
    for number in range(20):
        write(tmp_path / "pets" / ("cat" if number % 2 else "dog") / f"{number:02}.png", noise(number))
    return tmp_path / "pets"
