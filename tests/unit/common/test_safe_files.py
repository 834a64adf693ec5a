"""Lines of JSON from any values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ftapp.common.safe_files import encode_line


def test_numbers_of_numpy_are_numbers_and_paths_are_text() -> None:
    line = encode_line({"loss": np.float64(0.1), "folder": Path("a/b"), "name": "\udcff"})
    assert json.loads(line) == {"loss": 0.1, "folder": "a/b", "name": "?"}
    assert encode_line([np.float64(0.5)]) == b"[0.5]\n"
