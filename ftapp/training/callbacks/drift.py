"""Weight drift as events: at each evaluation, and at the end of a segment."""

from __future__ import annotations

import time

from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.phase_events import Drifted
from ftapp.training.batch import StepResult
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.step_log import StepLog
from ftapp.training.drift import DriftMeter
from ftapp.training.segments import list_plans
from ftapp.training.session import PhaseSession
from ftapp.training.setup import Setup
from ftapp.training.state import TrainState


class DriftLog(Callback):
    """Writes how far the weights of each layer have gone, once for a step."""

    def __init__(self, setup: Setup, log: EventLog, control: Control, steps: StepLog) -> None:
        self._setup, self._log, self._control, self._steps = setup, log, control, steps
        self._session: PhaseSession
        self._drift = DriftMeter()

    def on_run_begin(self, state: TrainState) -> None:
        """Remember the first weights of what a resumed run has trained so far."""
        if state.position.run_step:
            for plan in list_plans(self._setup, state):
                self._drift.begin_segment(plan)

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Measure the layers that train in this segment."""
        self._session = session
        self._drift.begin_segment(session.plan)

    def on_step_begin(self, state: TrainState) -> None:
        """Copy the weights before a step that an evaluation follows, if it makes an update. No step's time has it."""
        position, steps = state.position, state.position.step + 1 - state.segment_step
        updates = steps % self._session.phase.accumulate == 0
        if updates and self._session.is_evaluated(position.step + 1, position.run_step + 1):
            self._steps.flush()
            start = self._control.clock()
            self._drift.begin_step()
            self._steps.leave_out(self._control.clock() - start)

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Write the drift after an evaluation."""
        position = state.position
        if self._session.is_evaluated(position.step, position.run_step):
            self._write(state)

    def on_segment_end(self, state: TrainState) -> None:
        """Write the drift of the segment's last step."""
        self._write(state)

    def _write(self, state: TrainState) -> None:
        step = state.position.run_step
        if state.drift_step == step:
            return
        state.drift_step = step
        self._log.write(
            Drifted(
                time=time.time(),
                step=step,
                phase=self._session.phase.name,
                since_start=self._drift.measure_run(),
                last_step=self._drift.measure_step(),
            )
        )
