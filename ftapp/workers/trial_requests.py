"""Requests that train a few steps, to tell what a run will do: plans, range tests, and trials of backends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftapp import recipe as recipes
from ftapp.rpc.server import Request
from ftapp.workers.model_requests import choose_phase

if TYPE_CHECKING:
    from ftapp.runs.backend_trial import Trial


def plan(request: Request, recipe: str) -> dict[str, Any]:
    """Plan a run.

    Args:
        request: Receives the progress.
        recipe: TOML text.

    Returns:
        The plan, as `ftapp.workers.planner.plan` gives it.
    """
    parsed = recipes.parse(recipe)
    from ftapp.workers import planner

    return planner.plan(parsed, request.report_progress)


def find_rate(request: Request, recipe: str, phase: int, rates: tuple[float, float], steps: int) -> dict[str, Any]:
    """Test the learning rate of a phase, and say each step.

    Args:
        request: Receives the progress.
        recipe: TOML text.
        phase: The index of the phase, from 0.
        rates: The lowest and the highest learning rate.
        steps: How many rates are tried.

    Returns:
        The result, as `ftapp.training.lr_range_test.test` gives it.
    """
    parsed = recipes.parse(recipe)
    choose_phase(parsed, phase, None)
    from ftapp.training import lr_range_test

    def on_step(rate: float, loss: float) -> None:
        request.say(step=(rate, loss))

    return lr_range_test.test(parsed, phase, rates, steps, request.report_progress, on_step)


def run_trial(request: Request, recipe: str, steps: int, folder: str, is_reference: bool) -> Trial:
    """Train the first steps of each phase on this process's backend.

    Args:
        request: Receives the progress.
        recipe: TOML text.
        steps: How many steps of each phase, at most.
        folder: Where the reference leaves its files, and others find them.
        is_reference: Whether the other backends are compared with this one.

    Returns:
        What the steps gave.
    """
    parsed = recipes.parse(recipe)
    from ftapp.training import parity_trial

    return parity_trial.run_trial(
        parsed, steps, Path(folder), is_reference=is_reference, progress=request.report_progress
    )
