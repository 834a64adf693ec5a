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

# Their processes take more than five seconds of a processor on JAX and torch.
BACKENDS_SLOW_BUT_FIRST = [
    BACKENDS[0],
    *(pytest.param(*each.values, marks=[*each.marks, pytest.mark.slow]) for each in BACKENDS[1:]),
]

# For tests in the process of tests/unit/training/test_other_backends.py.
OWN_BACKEND = f"backend={os.environ['KERAS_BACKEND']}"
ON_OTHER_BACKENDS = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] == "tensorflow", reason="test_other_backends.py runs it on the other backends"
)

FIGURES = "FTAPP_TEST_FIGURES"
"""The variable that names the file of the costs that TensorFlow tells, in the process of the other backend."""


def quick_environment(backend: str) -> dict[str, str]:
    """The variables of a process on a backend that compiles quickly and computes slowly."""
    return {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": QUICK_XLA}
