"""The steps of a phase, and its learning rate as a pure function of the step."""

from __future__ import annotations

import math

from ftapp.recipe import Phase, Recipe


def compute_rate(phase: Phase, step: int, steps: int) -> float:
    """Compute the base learning rate of a step; layers' rates are relative to it.

    It rises linearly from one share to the whole of `phase.base_rate` in the warm-up, and then stays (constant), falls
    in a straight line (linear) or along half a cosine (cosine; Loshchilov & Hutter 2017, SGDR) towards zero at the
    end of the phase.

    Args:
        phase: The phase.
        step: The step, from 0.
        steps: The number of steps of the phase.

    Returns:
        The rate.
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


def count_steps(phase: Phase, examples: int) -> tuple[int, int]:
    """Count the steps of a phase and of one of its epochs on so many training examples.

    Args:
        phase: The phase.
        examples: The number of training examples.

    Returns:
        (steps of the phase, steps of an epoch). An epoch uses each example once; its last batch may be smaller.
    """
    per_epoch = math.ceil(examples / phase.batch_size)
    return phase.steps or (phase.epochs or 0) * per_epoch, per_epoch


def lengthen(recipe: Recipe, steps: int) -> Recipe:
    """Give the last phase of a recipe so many steps; its schedule is stretched over all of them.

    Args:
        recipe: The recipe.
        steps: The steps of its last phase.
    """
    last = recipe.phase[-1].model_copy(update={"steps": steps, "epochs": None})
    return recipe.model_copy(update={"phase": [*recipe.phase[:-1], last]})
