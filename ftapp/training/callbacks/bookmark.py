"""How far the run's clock and its event log have come, noted in the state."""

from __future__ import annotations

from ftapp.runs.commands import Control
from ftapp.runs.event_log import EventLog
from ftapp.training.callbacks.callback import Callback
from ftapp.training.session import PhaseSession, StepResult
from ftapp.training.state import TrainState


class Bookmark(Callback):
    """Notes the clock and the end of the event log, after all callbacks that write events."""

    def __init__(self, log: EventLog, control: Control) -> None:
        self._log, self._control = log, control

    def on_phase_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Note them at the beginning of a phase."""
        self._note(state)

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Note them after a step."""
        self._note(state)

    def on_phase_end(self, state: TrainState) -> None:
        """Note them at the end of a phase."""
        self._note(state)

    def _note(self, state: TrainState) -> None:
        state.elapsed, state.events_offset = self._control.clock(), self._log.offset
