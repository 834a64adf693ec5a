"""Histories of runs, to be compared."""

from __future__ import annotations

import msgspec

from ftapp.runs.events import Resumed, StateSaved
from ftapp.runs.history import History
from ftapp.runs.phase_events import PhaseTimed


def without_clocks(history: History) -> list[bytes]:
    """What a run did, as lines: all its events but estimates and the seam, without times and memory."""
    lines = []
    for event in [*history.steps, *history.happened(), *history.drifts]:
        if isinstance(event, StateSaved | Resumed | PhaseTimed):
            continue
        fields = msgspec.to_builtins(event)
        for name in ("time", "seconds", "memory", "preparing", "training", "evaluating", "others", "seconds_saved"):
            fields.pop(name, None)
        lines.append(msgspec.json.encode(fields))
    return lines
