"""The pause of live screens between two updates, so that runs have the processor."""

from __future__ import annotations

_SHARE_OF_CORE = 0.06  # that a screen may take: the costlier an update, the rarer it is
_LONGEST = 5.0  # seconds


def rest(spent: float, shortest: float) -> float:
    """Return how long to wait before the next update.

    Args:
        spent: The seconds of a core that the last update took.
        shortest: The shortest pause, in seconds.

    Returns:
        Seconds, at least `shortest` and at most 5.
    """
    return min(max(shortest, spent / _SHARE_OF_CORE), _LONGEST)
