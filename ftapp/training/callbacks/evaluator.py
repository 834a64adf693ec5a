"""Evaluations of held-out examples: before the first step, as often as the recipe says, and once for the result."""

from __future__ import annotations

import math
import time

import msgspec

from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.phase_events import Evaluated
from ftapp.training.batch import StepResult
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.example_log import ExampleLog
from ftapp.training.callbacks.last_good import LastGood
from ftapp.training.callbacks.step_log import StepLog
from ftapp.training.callbacks.watched_examples import WatchedExamples
from ftapp.training.divergence import check_finite
from ftapp.training.evaluate import Evaluation
from ftapp.training.instrumented_model import beside_loss
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState


class Evaluator(Callback):
    """Measures the held-out split that the recipe names, and at the end of the run the whole test split."""

    def __init__(self, log: EventLog, control: Control, steps: StepLog, good: LastGood, examples: ExampleLog) -> None:
        self._watched = WatchedExamples(log)
        self._log, self._control, self._steps, self._good, self._examples = log, control, steps, good, examples
        self._session: PhaseSession
        self._rate = math.nan  # of the last step
        self._found: Evaluation | None = None  # the last evaluation of this process

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Measure this segment's model from now on."""
        self._session = session

    def on_train_begin(self, state: TrainState) -> None:
        """Measure the model as the run begins with it; where a run goes on, also if it was stopped before it could."""
        position, last = state.position, state.evaluated
        is_due = position.step > 0 and self._session.is_evaluated(position.step, position.run_step)
        if (position.run_step == 0 or is_due) and (last is None or last.step < position.run_step):
            with self._session.tracing_ahead():
                self._evaluate(state)

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Measure the model if it is time to, and the run does not end."""
        self._rate = result.rate
        position = state.position
        if self._session.is_evaluated(position.step, position.run_step) and not self._control.should_stop():
            self._steps.flush()
            self._evaluate(state)

    def on_run_end(self, state: TrainState) -> None:
        """Measure the whole test split, unless the run was interrupted."""
        if not self._control.should_stop():
            self._measure_result(state)

    def _measure_result(self, state: TrainState) -> None:
        """Measure the model on the test split: the float one, and beside it the head on int8 features if it has any.

        Raises:
            NotFiniteError: The loss is not finite.
        """
        session = self._session
        if not self._tune_answers():
            return
        if not session.is_quantized:
            self._measure(state, "test", None, final=True)
            self._write_examples(state)
            return
        start, prepared, size = self._control.clock(), state.spent.preparing, len(session.data["test"])
        quantized = state.evaluated.values if self._is_known(state, "test", size) and state.evaluated else None
        if quantized is None:
            on_int8 = session.evaluate("test")
            if on_int8 is None:
                return
            quantized = {"loss": on_int8.metrics["loss"], **beside_loss(on_int8.metrics)}
        found = session.evaluate_in_float("test")
        if found is None:
            return
        for loss in (quantized["loss"], found.metrics["loss"]):
            check_finite(loss, state.weights_step, session.phase, self._rate)
        seconds = self._control.clock() - start - (state.spent.preparing - prepared)
        self._write(state, found, "test", size, seconds, final=True, quantized=quantized)
        self._write_examples(state)

    def _write_examples(self, state: TrainState) -> None:
        """Write what the model made of each test example, if the split was measured."""
        last = state.evaluated
        if last is None or not last.final:
            return  # the run was asked to end meanwhile
        found = self._found or self._session.evaluate("test")  # again if another process of the run has measured it
        if found is not None:
            self._examples.write(self._session, last.step, found)

    def _tune_answers(self) -> bool:
        """Tune answers on the validation split, if they are tuned. Returns False where the report gave up."""
        session = self._session
        if session.answers is None or not session.answers.is_tuned or not len(session.data["validation"]):
            return True
        found = session.evaluate_in_float("validation") if session.is_quantized else session.evaluate("validation")
        if found is None or found.targets is None or found.scores is None:
            return False
        session.answers.tune(found.targets, found.scores)
        return True

    def _evaluate(self, state: TrainState) -> None:
        spec = self._session.recipe.evaluate
        self._measure(state, spec.split, spec.examples, final=False)

    def _measure(self, state: TrainState, split: str, limit: int | None, *, final: bool) -> None:
        """Write the metrics of a split.

        Raises:
            NotFiniteError: The loss is not finite.
        """
        size, step = len(self._session.data[split]), state.weights_step
        size = min(limit or size, size)
        last = state.evaluated
        if last and self._is_known(state, split, size):
            state.evaluated = msgspec.structs.replace(last, time=time.time(), seconds=0.0, final=final)
            self._log.write(state.evaluated)
            if state.answers:
                self._log.write(msgspec.structs.replace(state.answers, time=time.time(), final=final))
            return
        start, prepared = self._control.clock(), state.spent.preparing
        found = self._session.evaluate(split, limit)
        if found is None:
            return
        check_finite(found.metrics["loss"], step, self._session.phase, self._rate)
        self._good.confirm(step)
        seconds = self._control.clock() - start - (state.spent.preparing - prepared)
        state.spent.evaluating += seconds
        self._write(state, found, split, size, seconds, final=final)

    def _is_known(self, state: TrainState, split: str, size: int) -> bool:
        """Whether the last evaluation was of the same weights on the same examples.

        Answers that are tuned right before the result are measured again for it.
        """
        last, answers = state.evaluated, self._session.answers
        if last is None or (answers is None) is not (state.answers is None) or (answers and answers.is_tuned):
            return False
        return (last.step, last.split, last.examples) == (state.weights_step, split, size)

    def _write(
        self,
        state: TrainState,
        found: Evaluation,
        split: str,
        size: int,
        seconds: float,
        *,
        final: bool,
        quantized: dict[str, float] | None = None,
    ) -> None:
        step, self._found, is_first = state.weights_step, found, state.evaluated is None
        state.evaluated = Evaluated(
            time=time.time(),
            step=step,
            split=split,
            examples=size,
            loss=found.metrics["loss"],
            metrics=beside_loss(found.metrics),
            seconds=seconds,
            final=final,
            quantized=quantized or {},
        )
        self._log.write(state.evaluated)
        kind = self._session.answers
        if kind is not None and found.targets is not None and found.scores is not None:
            state.answers = kind.describe(found.targets, found.scores, step=step, split=split, final=final)
            self._log.write(state.answers)
        if not final:
            self._watched.write(self._session, step, split, found, is_first=is_first)
