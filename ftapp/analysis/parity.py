"""Whether the first steps of a recipe are the same on two backends but for rounding."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from ftapp.common.formatting import format_number, join_names
from ftapp.runs.backend_trial import PhaseTrial, Trial

_WARM_UP = 2  # steps that a backend compiles in, and whose memory it allocates


@dataclass(frozen=True)
class Tolerance:
    """How far two backends may differ by rounding.

    Attributes:
        loss: The difference of losses, divided by the larger one.
        update: The norm of the difference of the changes of all weights, divided by the norm of the changes.
        reason: Why it is as large, in a sentence.
    """

    loss: float
    update: float
    reason: str


TOLERANCES = {
    "float32": Tolerance(1e-3, 5e-3, "float32 rounds at 6e-8, and sums have another order"),
    "bfloat16": Tolerance(0.05, 0.5, "bfloat16 rounds each layer at 0.4%"),
    "float16": Tolerance(0.02, 0.5, "float16 rounds each layer at 0.05%"),
}
"""By the precision of the layers."""


@dataclass(frozen=True)
class LossDifference:
    """The largest difference of the losses of two backends in a phase.

    Attributes:
        step: The step, from 1.
        share: The difference, divided by the larger loss.
        absolute: The difference itself.
    """

    step: int
    share: float
    absolute: float


def compare_losses(phase: PhaseTrial, reference: PhaseTrial) -> LossDifference:
    """Find the step with the largest difference.

    Args:
        phase: The phase on one backend.
        reference: The same phase on the other.
    """
    pairs = enumerate(zip(phase.losses, reference.losses, strict=True), start=1)
    found = [LossDifference(step, _compute_share(*pair), abs(pair[0] - pair[1])) for step, pair in pairs]
    return max(found, key=lambda each: each.share)


def find_differences(trial: Trial, reference: Trial) -> list[str]:
    """Find how a backend differs from the reference beyond rounding.

    Args:
        trial: The steps on one backend.
        reference: The steps on the other.

    Returns:
        Sentences without a full stop, the first cause first; none where only rounding differs.
    """
    if trial.unequal:
        return [f"the preset's weights are not loaded equally: {join_names(trial.unequal)}"]
    tolerance = TOLERANCES[reference.precision]
    pairs = zip(trial.phases, reference.phases, strict=True)
    return [sentence for pair in pairs for sentence in _compare_phase(*pair, tolerance)]


def _compare_phase(phase: PhaseTrial, reference: PhaseTrial, tolerance: Tolerance) -> Iterator[str]:
    name = f"phase {phase.name}"
    if phase.batches != reference.batches:
        yield f"{name}: the batches are not equal"
    pairs = enumerate(zip(phase.losses, reference.losses, strict=True), start=1)
    for step, (loss, expected) in pairs:
        if (share := _compute_share(loss, expected)) > tolerance.loss:
            cause = "the forward pass or the loss" if step == 1 else "gradients, the optimizer, or what a step changes"
            yield (
                f"{name}: from step {step} on the loss differs by more than rounding, {format_number(loss)} and "
                f"{format_number(expected)} ({share:.2g}): {cause}"
            )
            break
    if phase.update and phase.update.share > tolerance.update:
        yield f"{name}: the changes of weights differ by {phase.update.share:.2g}, most in {phase.update.weight}"
    loss, expected = phase.metrics["loss"], reference.metrics["loss"]
    if (share := _compute_share(loss, expected)) > tolerance.loss:
        yield f"{name}: the held-out loss is {format_number(loss)} and {format_number(expected)} ({share:.2g})"


def _compute_share(value: float, expected: float) -> float:
    largest = max(abs(value), abs(expected))
    return abs(value - expected) / largest if largest else 0.0


def compute_step_seconds(phase: PhaseTrial) -> float | None:
    """Compute the median time of a step after warm-up; None where there are too few steps."""
    warm = phase.seconds[_WARM_UP:]
    return statistics.median(warm) if warm else None
