"""The backends of Keras as parameters of tests."""

from __future__ import annotations

import importlib.util

import pytest

# For tests in processes of their own, one on each backend.
BACKENDS = [
    pytest.param(
        name,
        marks=[
            pytest.mark.backends,
            pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed"),
        ],
    )
    for name in ("tensorflow", "jax", "torch")
]
