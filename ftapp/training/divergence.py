"""Losses that are not finite end a run, with advice."""

from __future__ import annotations

import math

from ftapp.common.errors import NotFiniteError
from ftapp.recipe import Phase


def check_finite(loss: float, step: int, phase: Phase, rate: float) -> float:
    """Give a loss back if it is finite.

    Args:
        loss: The loss.
        step: The step of the run that it belongs to.
        phase: The phase of the step.
        rate: The base learning rate of the step; NaN before the first one of this process.

    Raises:
        NotFiniteError: The loss is not finite.
    """
    if math.isfinite(loss):
        return loss
    if math.isnan(rate):
        raise NotFiniteError(
            f"the loss was {loss} at step {step}, before a step was made; the loss has to stay finite; look at the "
            "numbers of the data, or try precision = 'float32'"
        )
    smaller = f"{float(f'{rate / 10:.1g}'):g}"
    mend = f" (--set phase.{phase.name}.learning_rate={smaller})" if isinstance(phase.learning_rate, float) else ""
    commanded = ", as commanded," if rate > phase.base_rate else ""
    raise NotFiniteError(
        f"the loss was {loss} at step {step}; the loss has to stay finite, and at a learning rate of {rate:g}"
        f"{commanded} the weights diverged; try a rate ten times smaller{mend}, clip_norm = 1.0, warmup = 0.1, or "
        "precision = 'float32'"
    )
