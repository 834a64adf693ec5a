"""How long a phase takes, estimated after its first steps."""

from __future__ import annotations

import statistics
import time

from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.phase_events import PhaseTimed
from ftapp.training.batch import StepResult
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.step_log import FIRST_STEPS, StepLog
from ftapp.training.feature_choice import count_views
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState


class TimeEstimate(Callback):
    """Writes how long a phase is going to take, once in a segment, unless it is over by then."""

    def __init__(self, log: EventLog, control: Control, steps: StepLog) -> None:
        self._log, self._control, self._steps = log, control, steps
        self._session: PhaseSession
        self._first_step = 0
        self._is_written = False

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Wait for the first steps, if there are enough of them."""
        self._session, self._first_step = session, state.position.step
        self._is_written = session.steps - self._first_step <= FIRST_STEPS

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Write the estimate when the first steps are timed."""
        if self._is_written or len(self._steps.seconds) < FIRST_STEPS:
            return
        self._is_written = True
        seconds = self._estimate_duration(state)
        self._log.write(PhaseTimed(time=time.time(), phase=self._session.phase.name, seconds=seconds))

    def _estimate_duration(self, state: TrainState) -> float:
        """Seconds of the phase, by the median of its first steps and what else has been done so far."""
        session = self._session
        recipe, phase = session.recipe, session.phase
        left = session.steps - self._first_step
        evaluations = session.count_evaluations(state.position.run_step - state.position.step, self._first_step)
        views = len(session.cached) and count_views(recipe, phase, session.splits)
        return (
            self._control.clock()
            - state.phase_began
            + (left - FIRST_STEPS) * statistics.median(self._steps.seconds)
            + evaluations * (state.evaluated.seconds if state.evaluated else 0.0)
            + max(0, views - 1) * state.spent.preparing
        )
