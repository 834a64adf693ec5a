"""How far a run is and how long it has to go, from its history and its recipe."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ftapp.recipe import Recipe
from ftapp.runs.events import PhaseEnded, PhaseStarted
from ftapp.runs.history import History

_RECENT = 50  # steps whose pace is taken for that of the steps to come


@dataclass(frozen=True)
class PhaseOutlook:
    """A phase of the recipe. total: its steps, None until the size of the data is known; started, ended: its events."""

    name: str
    done: int
    total: int | None
    started: PhaseStarted | None = None
    ended: PhaseEnded | None = None


def phases(history: History, recipe: Recipe) -> Iterator[PhaseOutlook]:
    """The recipe's phases in order, those to come too."""
    started = {event.phase: event for event in history.phases}
    ended = {event.phase: event for event in history.ended_phases}
    taken = len(history.steps)
    for phase in recipe.phase:
        begun, over = started.get(phase.name), ended.get(phase.name)
        total = phase.steps
        if total is None and history.data and phase.epochs:
            total = phase.epochs * math.ceil(history.data.train / phase.batch_size)
        done = 0
        if begun:
            total = begun.steps
            done = over.steps if over else max(0, min(total, taken - begun.first_step + 1))
        yield PhaseOutlook(phase.name, done, total, begun, over)


def remaining(history: History, recipe: Recipe) -> float | None:
    """Seconds until the run's last step, at the pace of its last steps, evaluations included and pauses left out.

    None before there is a pace, and when the run has ended.
    """
    times = history.steps.time[-_RECENT:]
    if history.ended or len(times) < 2:
        return None
    left = [(phase.total or 0) - phase.done for phase in phases(history, recipe) if not phase.ended]
    taken = times[-1] - times[0] - _paused(history, times[0], times[-1])
    return sum(left) * taken / (len(times) - 1)


def _paused(history: History, start: float, end: float) -> float:
    """Seconds between two points of time in which the run waited to be resumed."""
    waited, since = 0.0, None
    for event in history.controlled:
        if event.applied and event.command in ("pause", "resume"):
            if since is not None:
                waited += max(0.0, min(event.time, end) - max(since, start))
            since = event.time if event.command == "pause" else None
    return waited
