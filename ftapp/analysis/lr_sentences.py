"""What a learning rate range test found, in sentences for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftapp.common.formatting import format_duration


def describe_test(result: Mapping[str, Any]) -> list[str]:
    """Say what was tested and how it ended, a sentence a line."""
    rates = result["curve"]["rates"]
    ends = {"steps": "", "diverged": ", where the loss diverged", "not finite": ", where the loss was not finite"}
    spread = f"from {rates[0]:.2g} to {rates[-1]:.2g}" if rates else "at the first rate"
    lines = [
        f"{name_phase(result)}: range test with {result['optimizer']}, batches of {result['batch_size']}, "
        f"{result['precision']}",
        f"{len(rates)} of {result['steps']} steps {spread}{ends[result['ended']]}; "
        f"{format_duration(result['seconds'])}",
    ]
    if before := result["trained_before"]:
        lines.append(f"It starts from the weights that a run has by then: {' and '.join(before)} trained first.")
    return lines


def name_phase(result: Mapping[str, Any]) -> str:
    """Name the phase that was tested, with its arm."""
    arm = f"arm {result['arm']}, " if result["arm"] else ""
    return f"{arm}phase {result['phase']}"


def describe_weights(result: Mapping[str, Any]) -> str:
    """Say what the hashes of the weights show."""
    weights = result["weights"]
    return (
        f"All {weights['count']} weights and statistics are bitwise as they were before the test (hash "
        f"{weights['after']}), and so are random numbers and optimizer; no run was made."
    )
