"""A copy of the best weights so far, with which the run ends if its recipe says so."""

from __future__ import annotations

import time
from typing import Any

from ftapp.recipe.metrics import get_metric
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import BestRestored
from ftapp.training.batch import StepResult
from ftapp.training.callbacks.callback import Callback
from ftapp.training.checkpoint import Arrays, TrainingCheckpoint, copy_values, list_changing, restore_values
from ftapp.training.segments import list_plans
from ftapp.training.session import PhaseSession
from ftapp.training.setup import Setup
from ftapp.training.state import TrainState


class BestWeights(Callback):
    """Copies the weights at each evaluation that is better than all before, and puts them back.

    The copy holds each variable that a segment so far changes, 4 bytes of main memory for each weight that trains.
    """

    def __init__(self, setup: Setup, log: EventLog) -> None:
        """Keep the best weights of a run, if its recipe says so.

        Args:
            setup: What the run works on.
            log: The event log.
        """
        self._metric, self._setup, self._log = setup.recipe.kept_metric, setup, log
        self._values: Arrays = {}
        self._session: PhaseSession

    def get_values(self, step: int, state: TrainState) -> Arrays | None:
        """Give the copy for a checkpoint after a step; None where the checkpoint's own weights are the best ones."""
        averages = self._setup.recipe.phase[state.position.phase].averaged_by is not None
        is_other = self._values and state.best is not None and (averages or state.best.step != step)
        return self._values if is_other else None

    def resume(self, state: TrainState, checkpoint: TrainingCheckpoint) -> None:
        """Take the best weights from the checkpoint from which the run goes on."""
        is_best = state.best is not None and state.best.step == state.position.run_step
        values = checkpoint.weights if is_best and checkpoint.best is None else checkpoint.best
        if self._metric is None or values is None:
            state.best = None
        else:
            self._values = values

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Add what this segment is the first to change: it is still as it was when the best weights were copied."""
        self._session = session
        if self._values:
            variables = self._list_variables(state).items()
            fresh = {name: variable for name, variable in variables if name not in self._values}
            self._values = {**self._values, **copy_values(fresh)}

    def on_train_begin(self, state: TrainState) -> None:
        """Look at an evaluation that was made right before."""
        self._compare(state)

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Look at the evaluation of the step, if there is one."""
        self._compare(state)

    def _compare(self, state: TrainState) -> None:
        """Copy the weights if they were evaluated now and are better than all before."""
        found, best = state.evaluated, state.best
        if self._metric is None or found is None or found.step != state.weights_step:
            return
        value, former = found.value(self._metric), best.value(self._metric) if best else None
        if value is None or (former is not None and not get_metric(self._metric).is_better(value, former)):
            return
        with self._session.averages.applied():
            self._values = copy_values(self._list_variables(state))
        state.best = found

    def has_trained(self, state: TrainState) -> bool:
        """Tell whether weights are kept that a step has changed."""
        return bool(self._values) and state.best is not None and state.best.step > 0

    def restore(self, state: TrainState) -> int:
        """Put the best weights back, and write an event, unless the model has them or none are kept.

        The run's first weights are not put back before a step was evaluated: nobody knows whether they are better.

        Returns:
            The step of the run whose weights the model has now.
        """
        best, last = state.best, state.evaluated
        value = best.value(self._metric) if self._metric and best else None
        is_known = last is not None and last.step > 0
        if self._metric and best and value is not None and best.step != state.weights_step and is_known:
            restore_values(self._list_variables(state), self._values)
            state.restored_step = best.step
            self._log.write(
                BestRestored(
                    time=time.time(),
                    step=state.position.run_step,
                    best_step=best.step,
                    metric=self._metric,
                    value=value,
                )
            )
        return state.weights_step

    def _list_variables(self, state: TrainState) -> dict[str, Any]:
        return list_changing(self._setup.model, list_plans(self._setup, state))
