"""The steps of a run as events, written once the device is through with them."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.phase_events import Stepped
from ftapp.training.batch import StepResult
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.last_good import LastGood
from ftapp.training.divergence import check_finite
from ftapp.training.instrumented_model import beside_loss
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState

FIRST_STEPS = 8
"""Steps at the beginning of a segment whose times are kept, for an estimate."""


@dataclass(frozen=True)
class _Step:
    """A step that was given to the device. number: of the run; epoch: of the phase, both from 1."""

    number: int
    epoch: int
    result: StepResult


class StepLog(Callback):
    """Times steps and writes their events in order.

    Attributes:
        seconds: Of the first steps of the segment whose events are written, at most `FIRST_STEPS`.
    """

    def __init__(self, log: EventLog, control: Control, good: LastGood, *, is_late: bool) -> None:
        """Write to a log.

        Args:
            log: The event log.
            control: Has the clock.
            good: Receives the weights with which a loss was finite.
            is_late: Whether a step's result is read, which waits for the device, when the next step was given to it,
                so that it never waits for Python. A step's time is then the time between the ends of two steps.
                Otherwise it is read at once.
        """
        self._log, self._control, self._good, self._is_late = log, control, good, is_late
        self._process = psutil.Process()
        self._memory = 0
        self._session: PhaseSession
        self._state: TrainState
        self._waiting: _Step | None = None
        self._since = 0.0
        self._left_out = 0.0
        self.seconds: list[float] = []

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Forget the times of the segment before."""
        self._session, self._state = session, state
        self._left_out, self.seconds = 0.0, []

    def on_batch_wait(self, state: TrainState) -> None:
        """Time a step from now, unless the event of the one before is not written yet."""
        if self._waiting is None:
            self._since = self._now()

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Write the event of the step, or of the one before.

        Raises:
            NotFiniteError: The loss of a step whose event is written is not finite.
        """
        former = self._waiting
        self._waiting = _Step(state.position.run_step, state.position.epoch, result)
        if former:
            self._write(former)
        if not self._is_late:
            self.flush()

    def on_segment_end(self, state: TrainState) -> None:
        """Write what is waiting."""
        self.flush()

    def leave_out(self, seconds: float) -> None:
        """Do not count these seconds, which have just passed, as a step's."""
        self._left_out += seconds

    def flush(self) -> None:
        """Write the events of all steps that were given to the device.

        Raises:
            NotFiniteError: A loss is not finite.
        """
        last, self._waiting = self._waiting, None
        if last:
            self._write(last)

    def _now(self) -> float:
        """Seconds on a clock that stands still in pauses, while features are computed, and when told so."""
        return self._control.clock() - self._session.spent.preparing - self._left_out

    def _write(self, step: _Step) -> None:
        metrics, rate = step.result.read(), step.result.rate
        loss = check_finite(metrics["loss"], step.number, self._session.phase, rate)
        self._good.confirm(step.number - 1)
        now = self._now()
        with suppress(OSError):  # there is no file handle to read it; the last one counts
            self._memory = self._process.memory_info().rss
        seconds, self._since = now - self._since, now
        if len(self.seconds) < FIRST_STEPS:
            self.seconds.append(seconds)
        self._state.spent.training += seconds
        self._state.peak_memory = max(self._state.peak_memory, self._memory)
        self._log.write(
            Stepped(
                time=time.time(),
                step=step.number,
                epoch=step.epoch,
                loss=loss,
                metrics=beside_loss(metrics),
                gradient_norm=metrics.get("gradient_norm"),
                rate=rate,
                seconds=seconds,
                memory=self._memory,
            )
        )
