"""A run's model, evaluated after the run."""

from __future__ import annotations

import msgspec

from ftapp.runs.events import AnyEvent


class Remeasured(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation.

    Attributes:
        events: The data, the measures and the answers, as the events of a run tell of them.
        intervals: The ends of the 95% interval of measures, by their names, as far as there are some.
        seen: How many of the examples the run has trained on; None where the run's data cannot be read.
    """

    events: list[AnyEvent]
    intervals: dict[str, tuple[float, float]]
    seen: int | None = None
