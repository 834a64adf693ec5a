"""The training loop: the steps of a phase, and the hooks around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ftapp.recipe.schedule import compute_rate
from ftapp.training.callbacks.callback import Callback
from ftapp.training.head_statistics import calibrate_head
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState


def train_phase(
    session: PhaseSession,
    state: TrainState,
    callbacks: Sequence[Callback],
    is_stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Train a phase from the state's position to its end.

    Args:
        session: The phase, entered.
        state: The state of the training, which moves on with each step.
        callbacks: What is called at each hook, in order.
        is_stopping: Says whether the phase is to end before its next step.
    """
    for callback in callbacks:
        callback.on_phase_begin(session, state)
    if state.position.run_step == 0:
        calibrate_head(session)
    for callback in callbacks:
        callback.on_train_begin(state)
    if not is_stopping():
        _train_steps(session, state, callbacks, is_stopping)
    for callback in callbacks:
        callback.on_phase_end(state)


def _train_steps(
    session: PhaseSession, state: TrainState, callbacks: Sequence[Callback], is_stopping: Callable[[], bool]
) -> None:
    for callback in callbacks:
        callback.on_batch_wait(state)
    for batch in session.batches(state.position.step):
        for callback in callbacks:
            callback.on_step_begin(state)
        rate = state.rate_factor * compute_rate(session.phase, state.position.step, session.steps)
        result = session.step(batch, rate)
        state.advance(batch.key.epoch + 1, batch.examples, rate)
        for callback in callbacks:
            callback.on_step_end(state, result)
        if is_stopping():
            return
        for callback in callbacks:
            callback.on_batch_wait(state)
