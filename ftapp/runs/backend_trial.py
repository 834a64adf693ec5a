"""What the first steps of a recipe gave on one backend, and how that differs from another backend."""

from __future__ import annotations

import msgspec


class UpdateDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How the changes of the trained weights in a phase differ from those of the reference.

    Attributes:
        share: The norm of the difference of all changes, divided by the norm of the reference's changes.
        weight: The weight with the largest part of that difference.
    """

    share: float
    weight: str


class PhaseTrial(msgspec.Struct, frozen=True, kw_only=True):
    """The first steps of a phase.

    Attributes:
        name: The name of the phase.
        planned: The steps of the whole phase.
        cached: Whether the phase trains on cached features.
        batches: A hash of the batches, in hex; of their examples alone where the phase trains on cached features.
        losses: The loss of each step.
        seconds: The time of each step, without the wait for its batch. The first one compiles.
        evaluated: How many held-out examples are measured after the last step.
        metrics: Their metrics by name, `loss` among them.
        update: The difference from the reference; None of the reference itself.
    """

    name: str
    planned: int
    cached: bool
    batches: str
    losses: tuple[float, ...]
    seconds: tuple[float, ...]
    evaluated: int
    metrics: dict[str, float]
    update: UpdateDifference | None = None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """The first steps of all phases of a recipe on one backend.

    Attributes:
        version: The version of the backend's library.
        device: The device that it computes on, in words.
        precision: The precision in force.
        weights: How many weights and statistics the model has.
        redrawn: How many of them are new and come from the reference, since each backend draws its own.
        unequal: Weights of the preset that are not those of the reference before the first step.
        start_seconds: From the start of the process until the model is built.
        peak_memory: The most resident bytes of the process.
        phases: The phases, in order.
    """

    version: str
    device: str
    precision: str
    weights: int
    redrawn: int
    unequal: tuple[str, ...]
    start_seconds: float
    peak_memory: int
    phases: tuple[PhaseTrial, ...]
