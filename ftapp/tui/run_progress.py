"""The progress of a run through its phases, and the time that is left."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ftapp.recipe import Recipe
from ftapp.runs.history import History
from ftapp.runs.phase_events import PhaseEnded, PhaseStarted

_RECENT = 50  # steps whose pace is assumed for the steps to come


@dataclass(frozen=True)
class PhaseProgress:
    """The progress of one phase.

    Attributes:
        name: The phase's name.
        done: The steps that were taken.
        total: All steps; None until the size of the data is known.
        started: The event of its start, if it has started.
        ended: The event of its end, if it has ended.
    """

    name: str
    done: int
    total: int | None
    started: PhaseStarted | None = None
    ended: PhaseEnded | None = None


def list_phases(history: History, recipe: Recipe) -> Iterator[PhaseProgress]:
    """List the progress of all phases of a recipe, in order, including phases to come."""
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
        yield PhaseProgress(phase.name, done, total, begun, over)


def estimate_remaining(history: History, recipe: Recipe) -> float | None:
    """Estimate the time until the last step of a run.

    Args:
        history: The run so far.
        recipe: Its recipe.

    Returns:
        Seconds at the pace of the last steps, with evaluations and without pauses. None before the second step of the
        run or after a resume, and after the end of the run.
    """
    since = history.resumed[-1].time if history.resumed else -math.inf
    times: list[float] = [each for each in history.steps.time[-_RECENT:] if each >= since]
    if history.ended or len(times) < 2:
        return None
    left = [(phase.total or 0) - phase.done for phase in list_phases(history, recipe) if not phase.ended]
    taken = times[-1] - times[0] - _seconds_paused(history, times[0], times[-1])
    return sum(left) * taken / (len(times) - 1)


def _seconds_paused(history: History, start: float, end: float) -> float:
    """Sum the seconds between two times in which the run was paused."""
    waited, since = 0.0, None
    for event in history.controlled:
        if event.applied and event.command in ("pause", "resume"):
            if since is not None:
                waited += max(0.0, min(event.time, end) - max(since, start))
            since = event.time if event.command == "pause" else None
    return waited
