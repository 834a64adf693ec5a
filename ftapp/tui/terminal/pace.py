"""How long live screens rest between two looks, so that what they follow has the processor."""

from __future__ import annotations

_SHARE_OF_CORE = 0.06  # that one may take: what is costly to read or to draw is looked at less often
_LONGEST = 5.0  # seconds


def rest(spent: float, shortest: float) -> float:
    """Seconds to rest after a look that took a core for `spent` seconds: `shortest` or more, and never many."""
    return min(max(shortest, spent / _SHARE_OF_CORE), _LONGEST)
