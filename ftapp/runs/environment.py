"""The environment of a run's process: the variables that are set before it imports Keras."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ftapp.common.errors import Problem, RecipeError

if TYPE_CHECKING:
    from ftapp.recipe import Backend, Recipe, Track

MAX_SECONDS = "FTAPP_MAX_SECONDS"
"""The variable that says after how many seconds a run's process ends the run."""


def check_installed(recipe: Recipe) -> None:
    """Check that the packages of a recipe's backend, engine and trackers are installed, without importing them.

    Args:
        recipe: The recipe.

    Raises:
        RecipeError: A package is not installed, or the settings of the user are wrong.
    """
    problems = []
    if not is_installed(recipe.backend):
        problems.append(Problem("", "backend", explain_install(recipe.backend)))
    needed = {"openvino": recipe.frozen.engine == "openvino", "nncf": recipe.frozen.dtype == "int8"}
    if missing := [name for name, is_needed in needed.items() if is_needed and not is_installed(name)]:
        message = (
            f"the package '{missing[0]}' is not installed; this engine needs its packages: pip install "
            "'ftapp[openvino]'; or let the backend compute the features: --set frozen.engine=keras --set "
            "frozen.dtype=auto"
        )
        problems.append(Problem("", "frozen.engine", message))
    from ftapp.recipe.user_settings import load_settings  # here, since it is Pydantic's, which not all commands need

    problems += find_missing_trackers(recipe.track.fill(load_settings().track))
    if problems:
        raise RecipeError(problems)


def find_missing_trackers(track: Track) -> Iterator[Problem]:
    """Find the trackers whose packages are not installed, without importing them.

    Args:
        track: The trackers.
    """
    from ftapp.recipe.track_schema import TRACKERS  # here, as above

    for name in track.list_used():
        if (packages := TRACKERS[name]) and not is_installed(packages[0]):
            off = "false" if name == "tensorboard" else ""
            message = (
                f"the package '{packages[0]}' is not installed; this tracker needs it: pip install {packages[1]}; or "
                f"do without it: --set track.{name}={off}"
            )
            yield Problem("", f"track.{name}", message)


def explain_install(backend: Backend) -> str:
    """Explain how a backend is installed that is not.

    Args:
        backend: The name of the backend.
    """
    return (
        f"the package '{backend}' is not installed; a backend needs its package; install it in ftapp's checkout: pip "
        f"install -e '.[{backend}]'"
    )


def is_installed(package: str) -> bool:
    """Return whether a package is installed, without importing it.

    Args:
        package: The name that it is imported by.
    """
    return importlib.util.find_spec(package) is not None


def read_max_seconds() -> float:
    """Read after how many seconds this process ends its run; infinity where it goes on to its end.

    Raises:
        RecipeError: The variable is no such number.
    """
    given = os.environ.get(MAX_SECONDS)
    try:
        seconds = float(given) if given else math.inf
    except ValueError:
        seconds = -1.0
    if seconds >= 0:
        return seconds
    rule = "it is 0 or more, such as 3300; --max-time 55m sets it for a run"
    raise RecipeError([Problem("", "", f"{MAX_SECONDS} = '{given}' is no number of seconds; {rule}")])


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
