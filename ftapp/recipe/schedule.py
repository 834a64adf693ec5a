"""The learning rate as a pure function of the step: to be drawn, replayed and resumed without an optimizer."""

from __future__ import annotations

import math

from ftapp.recipe import Phase


def rate_at(phase: Phase, step: int, steps: int) -> float:
    """The base learning rate of step `step` (from 0) of a phase of `steps` steps; layers' rates are relative to it.

    It rises linearly from one share to the whole of `phase.base_rate` in the warm-up, and then stays (constant), falls
    in a straight line (linear) or along half a cosine (cosine; Loshchilov & Hutter 2017, SGDR) towards zero at the
    end of the phase.
    """
    warmup = round(phase.warmup * steps)
    if step < warmup:
        return phase.base_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    match phase.schedule:
        case "linear":
            return phase.base_rate * (1 - progress)
        case "cosine":
            return phase.base_rate * (1 + math.cos(math.pi * progress)) / 2
        case "constant":
            return phase.base_rate
