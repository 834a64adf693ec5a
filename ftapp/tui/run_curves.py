"""The curves of one run, from its history."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ftapp.runs.history import History
from ftapp.tui.curves import Curve

_SHORTEST = 1e-9  # seconds: a shorter step is damage, and its pace may be too large for the arithmetic of a chart


def make_curves(history: History, metric: str | None) -> dict[str, Sequence[Curve]]:
    """Make the curves of a run by the names of their charts.

    Args:
        history: The run so far.
        metric: The name of the metric beside the loss; None for none.

    Returns:
        The curves; none for the metric where none is named.
    """
    steps = history.steps
    at_step = np.asarray(steps.step, np.float64)
    held_out = [each for each in history.evaluations if not each.final]
    at = [each.step for each in held_out]
    seconds = np.asarray(steps.seconds, np.float64)
    pace = np.divide(1, seconds, out=np.full(len(seconds), math.nan), where=seconds >= _SHORTEST)
    curves: dict[str, Sequence[Curve]] = {
        "loss": (
            Curve.of("train", at_step, steps.loss, "primary", noisy=True),
            Curve.of("held out", at, [each.loss for each in held_out], "accent", dots=True),
        ),
        "rate": (Curve.of("", at_step, steps.rate, "primary"),),
        "gradient": (Curve.of("", at_step, steps.gradient_norm, "primary", noisy=True),),
        "speed": (Curve.of("", at_step, pace, "primary", noisy=True),),
        "memory": (Curve.of("", at_step, np.asarray(steps.memory) / 2**30, "primary"),),
    }
    processor, gpu = history.processor_loads, history.gpu_loads
    loads = {
        "this run": ([each.step for each in processor], [100 * each.own for each in processor], "primary"),
        "others": ([each.step for each in processor], [100 * each.others for each in processor], "secondary"),
        "GPU": ([each.step for each in gpu], [100 * each.busy for each in gpu], "accent"),
    }
    curves["load"] = [Curve.of(label, x, y, color) for label, (x, y, color) in loads.items() if x]
    if metric:
        known = [math.nan if (value := each.value(metric)) is None else value for each in held_out]
        curves["metric"] = (
            Curve.of("train", at_step, steps.column(metric), "primary", noisy=True),
            Curve.of("held out", at, known, "accent", dots=True),
        )
    return curves
