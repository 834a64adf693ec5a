"""What tests of recipes share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recipe_files import MINIMAL


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    return path
