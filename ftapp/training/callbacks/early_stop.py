"""The early end of a phase whose evaluations bring no improvement any more."""

from __future__ import annotations

from ftapp.common.formatting import format_quantity
from ftapp.recipe import StopRule
from ftapp.recipe.metrics import get_metric
from ftapp.training.batch import StepResult
from ftapp.training.callbacks.callback import Callback
from ftapp.training.session import PhaseSession
from ftapp.training.state import Patience, TrainState


class EarlyStop(Callback):
    """Counts the evaluations of a phase since the last improvement of a metric."""

    def __init__(self, spec: StopRule | None) -> None:
        """Count by what a recipe says; with None, phases end at their last step."""
        self._spec = spec
        self._session: PhaseSession

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Count anew in a phase that had ended early and became longer when its run was resumed."""
        self._session = session
        if self.is_over(state) and state.patience.length != session.steps:
            state.patience = Patience()

    def on_train_begin(self, state: TrainState) -> None:
        """Count an evaluation that was made right before: that of the run's beginning, or of a step made up for."""
        if state.position.step or state.position.run_step == 0:
            self._count(state)

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Count the evaluation of the step, if there is one."""
        self._count(state)

    def is_over(self, state: TrainState) -> bool:
        """Tell whether the phase is to end, since there was no improvement for too long."""
        return self._spec is not None and state.patience.waited >= self._spec.patience

    def explain(self, state: TrainState) -> str:
        """Explain in words why the phase ends before its last step; "" where it does not."""
        count = state.patience
        if self._spec is None or not self.is_over(state) or count.best is None or state.position.step == count.length:
            return ""
        metric = get_metric(self._spec.metric)
        return (
            f"{format_quantity(count.waited, 'evaluation')} without a better {metric.label} than "
            f"{metric.format_plain(count.best)} at step {count.best_step}"
        )

    def _count(self, state: TrainState) -> None:
        count, step, found = state.patience, state.position.run_step, state.evaluated
        if self._spec is None or found is None or found.step != step or count.step == step:
            return
        value = found.value(self._spec.metric)
        if value is None:
            return
        better = get_metric(self._spec.metric).is_better
        if count.best is None or better(value, count.best, self._spec.min_delta):
            state.patience = Patience(step, step, value, 0, self._session.steps)
        else:
            state.patience = Patience(step, count.best_step, count.best, count.waited + 1, self._session.steps)
