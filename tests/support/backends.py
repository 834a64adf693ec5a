"""The backends of Keras as parameters of tests."""

from __future__ import annotations

import importlib.util
import os

import pytest

# XLA's expensive passes take most of the time of a tiny model on JAX, and change neither shapes nor what is computed.
QUICK_XLA = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

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


def quick_environment(backend: str) -> dict[str, str]:
    """The variables of a process on a backend that compiles quickly and computes slowly."""
    return {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": QUICK_XLA}
