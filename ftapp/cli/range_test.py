"""The learning rate range test of `ftapp lr-find`: its arguments, its process, and its progress on stderr."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftapp import recipe as recipes
from ftapp.cli.activity import Activity
from ftapp.common.errors import Problem, RecipeError, RunError, nearest
from ftapp.common.processes import child_environment, python_module
from ftapp.recipe import Recipe
from ftapp.recipe.base_rate import override

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
        choice = nearest(arm, arms) if arms else "this recipe has none"
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
        RecipeError: Some of them cannot be; it holds a problem for each.
    """
    names, problems = [each.name for each in recipe.phase], []
    if phase is not None and phase not in names:
        problems.append(Problem("--phase", "", f"there is no phase '{phase}'; {nearest(phase, names)}"))
    for name, rate in zip(("--from", "--to"), rates, strict=True):
        if not (math.isfinite(rate) and rate > 0):
            problems.append(Problem(name, "", f"a learning rate is a number above 0; got {rate:g}"))
    if not problems and rates[0] >= rates[1]:
        low, high = sorted(rates)
        meant = f"did you mean --from {low:g} --to {high:g}?" if low < high else f"try --to {10 * high:g}"
        message = f"the test goes from a lower rate to a higher one; got {rates[0]:g} and {rates[1]:g}; {meant}"
        problems.append(Problem("--from", "", message))
    if plot is not None and plot.suffix not in FORMATS:
        message = f"a plot's file ends in .svg or .html; got '{plot}'"
        message += f"; did you mean '{plot.with_suffix('.svg')}'?" if plot.name else ""
        problems.append(Problem("--plot", "", message))
    elif plot is not None and not plot.parent.is_dir():
        problems.append(Problem("--plot", "", f"a plot is written into a folder that is there; got '{plot.parent}'"))
    if problems:
        raise RecipeError(problems)
    return names.index(phase) if phase is not None else 0


def run_range_test(
    recipe: Recipe,
    phase: int,
    rates: tuple[float, float],
    steps: int,
    environment: Mapping[str, str],
    *,
    arm: str | None = None,
    debug: bool,
) -> dict[str, Any]:
    """The result of the range test, with the `override` that puts its rate into the recipe.

    arm: of which the recipe is, and into which the rate is put.

    Raises RecipeError and RunError as it does, and KeyboardInterrupt, at SIGTERM too, when the process has ended.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    told: dict[str, Any] = {}
    with (
        tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file,
        tempfile.TemporaryFile("w+") as log,
        Activity() as narrator,
    ):
        narrator.tell("starting the range test", 0, None)
        file.write(recipe.to_toml())
        file.flush()
        command = python_module("ftapp.training.lr_range_test", file.name, str(phase), *map(repr, rates), str(steps))
        variables = child_environment(environment)
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            assert process.stdout
            try:
                for line in process.stdout:
                    told |= json.loads(line)
                    if "progress" in told:
                        narrator.tell(*told.pop("progress"))
            except KeyboardInterrupt:
                process.kill()  # it has nothing to save
                raise
        log.seek(0)
        output = log.read()
    if process.returncode == 2 and "error" in told:
        raise RecipeError([Problem("", "", told["error"])])
    if "result" not in told:
        raise RunError(told.get("error") or f"the process of the test ended without an error message:\n{output}")
    if debug:
        print(output, file=sys.stderr)
    result: dict[str, Any] = told["result"]
    rate = result["rate"]
    return result | {"arm": arm, "override": rate and override(recipe.phase[phase], rate, arm)}
