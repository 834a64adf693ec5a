"""The environment of a run's process: the variables that are set before it imports Keras."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from ftapp.common.errors import Problem, RecipeError

if TYPE_CHECKING:
    from ftapp.recipe import Backend

MAX_SECONDS = "FTAPP_MAX_SECONDS"
"""The variable that says after how many seconds a run's process ends the run."""


def check_installed(backend: Backend) -> None:
    """Check that a backend's package is installed, without importing it.

    Args:
        backend: The name of the backend.

    Raises:
        RecipeError: The package is not installed.
    """
    if importlib.util.find_spec(backend) is None:
        message = (
            f"the package '{backend}' is not installed; a backend needs its package; install it in ftapp's checkout: "
            f"pip install -e '.[{backend}]'"
        )
        raise RecipeError([Problem("", "backend", message)])


def make_environment(
    backend: Backend, *, offline: bool, verify_cache: bool = False, max_seconds: float | None = None
) -> dict[str, str]:
    """Make the variables that are set before a run's process imports Keras.

    Args:
        backend: The name of the backend.
        offline: Whether the process makes no network call.
        verify_cache: Whether the process recomputes some cached features.
        max_seconds: After how many seconds the process ends the run; None where it goes on to its end.

    Returns:
        The values by the name of the variable.
    """
    variables = {
        "KERAS_BACKEND": backend,
        # TensorFlow's start-up notices would fill train.log; errors still show.
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        # A run may share its GPU: take memory as needed instead of all of it at the start.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if offline:
        variables |= {"FTAPP_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    if verify_cache:
        variables["FTAPP_VERIFY_CACHE"] = "1"
    if max_seconds is not None:
        variables[MAX_SECONDS] = str(max_seconds)
    return variables
