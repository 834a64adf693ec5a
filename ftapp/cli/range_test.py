"""The learning rate range test of `ftapp lr-find`: its arguments, and the request for it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

from ftapp import recipe as recipes
from ftapp.cli.ask_helper import ask_helper
from ftapp.common.downloads import Progress
from ftapp.common.errors import Problem, RecipeError, suggest_nearest
from ftapp.recipe import Recipe
from ftapp.recipe.base_rate import override
from ftapp.rpc.inspector_client import InspectorClient

FORMATS = (".svg", ".html")
"""Endings of the files that a plot can be written to."""


def load_recipe(path: Path, profile: str | None, overrides: Sequence[str], arm: str | None) -> Recipe:
    """Return the recipe to test, or that of one of its arms.

    Args:
        path: The recipe's file.
        profile: A profile of it, if any.
        overrides: KEY=VALUE each.
        arm: The name of an arm; None for the recipe without its arms.

    Returns:
        The resolved recipe.

    Raises:
        RecipeError: The recipe is not valid or has no such arm.
    """
    if arm is None:
        return recipes.load(path, profile, overrides)
    arms = recipes.load_experiment(path, profile, overrides).arms
    if arm not in arms:
        choice = suggest_nearest(arm, arms) if arms else "this recipe has none"
        raise RecipeError([Problem("--arm", "", f"there is no arm '{arm}'; {choice}")])
    return arms[arm]


def check_arguments(recipe: Recipe, phase: str | None, rates: tuple[float, float], plot: Path | None) -> int:
    """Check the arguments of a range test against its recipe.

    Args:
        recipe: The recipe to test.
        phase: The name of a phase; None for the first.
        rates: The first and the last learning rate.
        plot: The file to draw the curve into, if any.

    Returns:
        The index of the phase.

    Raises:
        RecipeError: Some arguments are wrong; the error holds a problem for each.
    """
    names, problems = [each.name for each in recipe.phase], []
    if phase is not None and phase not in names:
        problems.append(Problem("--phase", "", f"there is no phase '{phase}'; {suggest_nearest(phase, names)}"))
    for name, rate in zip(("--from", "--to"), rates, strict=True):
        if not (math.isfinite(rate) and rate > 0):
            problems.append(Problem(name, "", f"{rate:g} is no learning rate; a learning rate is a number above 0"))
    if not problems and rates[0] >= rates[1]:
        low, high = sorted(rates)
        meant = f"did you mean --from {low:g} --to {high:g}?" if low < high else f"try --to {10 * high:g}"
        message = f"{rates[0]:g} is not below {rates[1]:g}; the test goes from a lower rate to a higher one; {meant}"
        problems.append(Problem("--from", "", message))
    if plot is not None and plot.suffix not in FORMATS:
        message = f"'{plot}' does not end in .svg or .html, as a plot's file does"
        message += f"; did you mean '{plot.with_suffix('.svg')}'?" if plot.name else ""
        problems.append(Problem("--plot", "", message))
    elif plot is not None and not plot.parent.is_dir():
        message = f"there is no folder '{plot.parent}'; a plot is written into a folder that exists"
        problems.append(Problem("--plot", "", message))
    if problems:
        raise RecipeError(problems)
    return names.index(phase) if phase is not None else 0


def run_range_test(
    recipe: Recipe, phase: int, rates: tuple[float, float], steps: int, *, arm: str | None = None, offline: bool = False
) -> dict[str, Any]:
    """Test the learning rate of a phase in a helper process.

    Args:
        recipe: The recipe to test.
        phase: The index of one of its phases.
        rates: The first and the last learning rate.
        steps: How many steps the test has.
        arm: The arm that the recipe is of, and into which the rate is put, if any.
        offline: Whether the process makes no network call.

    Returns:
        The result of the test, with the `override` that puts its rate into the recipe.

    Raises:
        RecipeError: The recipe does not fit its model or data.
        RunError: A download failed, or weights are not the same after the test.
        KeyboardInterrupt: SIGINT or SIGTERM has come, and the process has ended.
    """

    def ask(inspector: InspectorClient, progress: Progress) -> Awaitable[dict[str, Any]]:
        return inspector.find_rate(recipe, phase, rates, steps, lambda rate, loss: None, progress)

    result = ask_helper("the range test", InspectorClient(offline=offline), ask)
    rate = result["rate"]
    return result | {"arm": arm, "override": rate and override(recipe.phase[phase], rate, arm)}
