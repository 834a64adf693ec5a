"""The steps and evaluations of a phase, and its learning rate as a pure function of the step."""

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
        (steps of the phase, steps of an epoch). An epoch uses each example once; its last batch may be smaller. A phase
        that accumulates gradients ends with an update: batches that do not fill one are left out.
    """
    per_epoch = math.ceil(examples / phase.batch_size)
    steps = phase.steps or (phase.epochs or 0) * per_epoch
    return max(1, steps // phase.accumulate) * phase.accumulate, per_epoch


def is_evaluated(recipe: Recipe, step: int, begin: int, length: tuple[int, int]) -> bool:
    """Say whether an evaluation follows a step.

    If the run keeps its best weights, one follows the last step of each phase: its weights may be the best.

    Args:
        recipe: The recipe.
        step: The steps of the phase that are done after it.
        begin: The steps of the run before the phase.
        length: The steps of the phase, and of one of its epochs (`count_steps`).
    """
    (steps, per_epoch), every = length, recipe.evaluate.every
    if every:
        return (begin + step) % every == 0 or (step == steps and recipe.kept_metric is not None)
    return step % per_epoch == 0 or step == steps


def count_evaluations(recipe: Recipe, done: int, begin: int, length: tuple[int, int]) -> int:
    """Count the evaluations that follow the steps of a phase.

    Args:
        recipe: The recipe.
        done: Steps of the phase that do not count.
        begin: The steps of the run before the phase.
        length: The steps of the phase, and of one of its epochs (`count_steps`).
    """
    steps, per_epoch = length
    if done >= steps:
        return 0
    every, offset = (recipe.evaluate.every, begin) if recipe.evaluate.every else (per_epoch, 0)
    between = (offset + steps - 1) // every - (offset + done) // every
    return between + is_evaluated(recipe, steps, begin, length)


def lengthen(recipe: Recipe, steps: int) -> Recipe:
    """Give the last phase of a recipe so many steps; its schedule is stretched over all of them.

    Args:
        recipe: The recipe.
        steps: The steps of its last phase.
    """
    last = recipe.phase[-1].model_copy(update={"steps": steps, "epochs": None})
    return recipe.model_copy(update={"phase": [*recipe.phase[:-1], last]})
