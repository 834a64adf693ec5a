"""The hooks of a training, for what a run does around its steps and for a user's own object."""

from __future__ import annotations

from ftapp.training.batch import StepResult
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState


class Callback:
    """Hooks that do nothing; a callback overrides those that it needs.

    Hooks are called between steps, on the main thread. A callback that reads a step's result waits for the device.
    """

    def on_run_begin(self, state: TrainState) -> None:
        """The run begins to train, or goes on: the model is built, and has the weights of the run's beginning."""

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """A segment of a phase begins, or the run goes on in it: its model is frozen, cut and compiled."""

    def on_train_begin(self, state: TrainState) -> None:
        """The weights are what the segment's next step trains: a new head has its statistics."""

    def on_batch_wait(self, state: TrainState) -> None:
        """The training waits for the batch of the next step."""

    def on_step_begin(self, state: TrainState) -> None:
        """The next step's batch is there."""

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """A step was given to the device; `state` counts it."""

    def on_segment_end(self, state: TrainState) -> None:
        """A segment has ended, or the run ends in it."""

    def on_phase_end(self, state: TrainState) -> None:
        """A phase has ended, or the run ends in it."""

    def on_run_end(self, state: TrainState) -> None:
        """All phases are over, or the run was asked to end. The last session is still open."""
