"""The first steps of a recipe on several backends, one after the other, each in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from ftapp.analysis.parity import find_differences
from ftapp.cli.ask_helper import ask_helper
from ftapp.common.downloads import Progress
from ftapp.common.errors import HubError, Problem, RecipeError, RunError, suggest_nearest
from ftapp.recipe import Backend, Recipe
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.runs.backend_trial import Trial
from ftapp.runs.environment import explain_install, is_installed

BACKENDS: tuple[Backend, ...] = get_args(Backend)


@dataclass
class BackendTrials:
    """What is known of the backends so far.

    Attributes:
        trials: The steps of each backend that made them. The others are compared with the first one, the reference.
        failures: Why a backend could not make them.
    """

    trials: dict[Backend, Trial] = field(default_factory=dict)
    failures: dict[Backend, str] = field(default_factory=dict)

    @property
    def reference(self) -> Backend | None:
        """The backend that the others are compared with; None before there is one."""
        return next(iter(self.trials), None)

    def find_differences(self) -> dict[Backend, list[str]]:
        """Find how each backend differs from the reference beyond rounding."""
        trials = list(self.trials.items())
        return {name: find_differences(trial, trials[0][1]) for name, trial in trials[1:]}


def choose_backends(wanted: str | None, recipe: Recipe) -> tuple[list[Backend], list[str]]:
    """Choose the backends to compare.

    Args:
        wanted: Their names with commas; None for all that are installed, the recipe's own first.
        recipe: The recipe.

    Returns:
        (the backends, how to install those that are left out).

    Raises:
        RecipeError: A name is no backend, one that is named is not installed, or there is only one.
    """
    names = [name.strip() for name in wanted.split(",")] if wanted is not None else None
    if names is None:
        chosen = sorted(BACKENDS, key=lambda name: name != recipe.backend)
        missing = [explain_install(name) for name in chosen if not is_installed(name)]
        found = [name for name in chosen if is_installed(name)]
        if len(found) < 2:
            raise _make_error(f"only {found[0]} is installed, and a comparison takes two; {'; '.join(missing)}")
        return found, missing
    found = [name for name in BACKENDS if name in names]
    if unknown := [name for name in names if name not in BACKENDS]:
        raise _make_error(f"there is no backend '{unknown[0]}'; {suggest_nearest(unknown[0], BACKENDS)}")
    if missing := [explain_install(name) for name in found if not is_installed(name)]:
        raise _make_error("; ".join(missing))
    if len(found) < 2:
        others = [name for name in BACKENDS if name not in found]
        raise _make_error(f"'{wanted}' is one backend, and a comparison takes two; try {found[0]},{others[0]}")
    return sorted(found, key=names.index), []


def _make_error(message: str) -> RecipeError:
    return RecipeError([Problem("--backends", "", message)])


def compare_backends(
    recipe: Recipe, backends: Sequence[Backend], steps: int, comparison: BackendTrials, *, offline: bool
) -> None:
    """Train the first steps of a recipe on several backends.

    Args:
        recipe: The recipe.
        backends: The backends, the reference first.
        steps: How many steps of each phase, at most.
        comparison: Takes the result of each backend when it is there.
        offline: Whether the processes make no network call.

    Raises:
        RecipeError: The recipe does not fit its model or data.
        HubError: The model or the data cannot be fetched.
        KeyboardInterrupt: SIGINT or SIGTERM has come, and no process is left.
    """

    async def ask(inspector: InspectorClient, progress: Progress) -> None:
        for name in backends:

            def report(activity: str, done: int, total: int | None, name: str = name) -> None:
                progress(f"{name}: {activity}", done, total)

            report("starting", 0, None)
            tried = recipe.model_copy(update={"backend": name, "devices": 1, "parallel": "data"})
            is_reference = not comparison.trials
            try:
                comparison.trials[name] = await inspector.run_trial(
                    tried, steps, Path(folder), is_reference=is_reference, progress=report
                )
            except (RecipeError, RunError) as error:
                if isinstance(error, RecipeError | HubError) and is_reference:
                    raise  # it is the same on the other backends
                comparison.failures[name] = str(error)

    with tempfile.TemporaryDirectory(prefix="ftapp-parity-") as folder:
        ask_helper("the comparison", InspectorClient(offline=offline), ask)
