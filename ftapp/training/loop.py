"""The training loop: the segments of a phase, their steps, and the hooks around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ftapp.recipe.schedule import compute_rate
from ftapp.training.callbacks.callback import Callback
from ftapp.training.head_statistics import calibrate_head
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState


def train_phase(
    open_session: Callable[[], PhaseSession],
    state: TrainState,
    callbacks: Sequence[Callback],
    is_stopping: Callable[[], bool] = lambda: False,
    stop: int | None = None,
) -> None:
    """Train a phase from the state's position to its end.

    Args:
        open_session: Enters the session of a segment, in the place of the one before.
        state: The state of the training, which moves on with each step.
        callbacks: What is called at each hook, in order.
        is_stopping: Says whether the phase is to end before its next step.
        stop: The step of the phase that ends it, whose own length stays that of the recipe; None for its last.
    """
    _train_segment(open_session(), state, callbacks, is_stopping, stop)
    while state.has_new_rules and not is_stopping():
        state.begin_segment()
        _train_segment(open_session(), state, callbacks, is_stopping, stop)
    for callback in callbacks:
        callback.on_phase_end(state)


def _train_segment(
    session: PhaseSession,
    state: TrainState,
    callbacks: Sequence[Callback],
    is_stopping: Callable[[], bool],
    stop: int | None,
) -> None:
    for callback in callbacks:
        callback.on_segment_begin(session, state)
    if state.position.run_step == 0 and state.in_force == 0:
        calibrate_head(session)
    for callback in callbacks:
        callback.on_train_begin(state)
    if not is_stopping():
        _train_steps(session, state, callbacks, is_stopping, stop)
    for callback in callbacks:
        callback.on_segment_end(state)
    session.averages.keep()


def _train_steps(
    session: PhaseSession,
    state: TrainState,
    callbacks: Sequence[Callback],
    is_stopping: Callable[[], bool],
    stop: int | None,
) -> None:
    session.build_optimizer()
    for callback in callbacks:
        callback.on_batch_wait(state)
    for batch in session.batches(state.position.step, stop):
        if state.has_new_rules:
            return
        for callback in callbacks:
            callback.on_step_begin(state)
        rate = state.rate_factor * compute_rate(session.phase, state.position.step, session.steps)
        result = session.step(batch, rate)
        state.advance(batch.key.epoch + 1, batch.examples, rate)
        for callback in callbacks:
            callback.on_step_end(state, result)
        if is_stopping() or state.has_new_rules:
            return
        for callback in callbacks:
            callback.on_batch_wait(state)
