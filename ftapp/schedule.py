"""The learning rate as a pure function of the step: to be drawn, replayed and resumed without an optimizer."""

from __future__ import annotations

import math

from ftapp.recipe import Phase


def rate_at(phase: Phase, step: int, steps: int) -> float:
    """The learning rate of step `step` (from 0) of a phase of `steps` steps.

    It rises linearly from one share to the whole of `learning_rate` in the warm-up, and then stays (constant), falls
    in a straight line (linear) or along half a cosine (cosine; Loshchilov & Hutter 2017, SGDR) towards zero at the
    end of the phase.
    """
    warmup = round(phase.warmup * steps)
    if step < warmup:
        return phase.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    match phase.schedule:
        case "linear":
            return phase.learning_rate * (1 - progress)
        case "cosine":
            return phase.learning_rate * (1 + math.cos(math.pi * progress)) / 2
        case "constant":
            return phase.learning_rate
