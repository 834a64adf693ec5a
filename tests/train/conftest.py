"""What goes for all tests with real runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import none_left


@pytest.fixture(autouse=True)
def no_process_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test starts has ended when it has."""
    yield
    none_left(tmp_path)
