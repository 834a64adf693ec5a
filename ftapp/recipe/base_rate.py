"""The base learning rate of a phase: changed to another value, in the recipe and as a `--set`."""

from __future__ import annotations

import json

from ftapp.recipe.overrides import make_arm_prefix
from ftapp.recipe.phase_schema import Phase


def replace_base_rate(phase: Phase, rate: float) -> float | dict[str, float]:
    """Replace the base rate in the learning rate of a phase; ratios in a table stay.

    Args:
        phase: The phase.
        rate: The new base rate.

    Returns:
        The learning rate, a number or a table as before.
    """
    if not isinstance(phase.learning_rate, dict):
        return float(f"{rate:g}")
    factor = rate / phase.base_rate
    return {name: float(f"{each * factor:.3g}") for name, each in phase.learning_rate.items()}


def override(phase: Phase, rate: float, arm: str | None = None) -> str:
    """Write the `--set` that changes a phase's base rate.

    Args:
        phase: The phase.
        rate: The new base rate.
        arm: The arm that changes; None for all arms.

    Returns:
        The text `key=value`.
    """
    rates = replace_base_rate(phase, rate)
    value = f"{rates:g}" if isinstance(rates, float) else ""
    if isinstance(rates, dict):
        value = f"{{ {', '.join(f'{json.dumps(name)} = {each:g}' for name, each in rates.items())} }}"
    return f"{make_arm_prefix(arm)}phase.{phase.name}.learning_rate={value}"
