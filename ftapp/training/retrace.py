"""The traces that TensorFlow had of a segment's steps, made again where a run goes on in the middle of it.

TensorFlow traces a step for the sizes of its first batch. At a batch of other sizes it traces the step for any number
of examples, or of tokens. The two traces differ in the last digits of their results. A run that goes on, whose first
batch may be a smaller one, therefore needs the traces of the run's first batches. JAX compiles for each size alone, and
torch does not trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import keras
import numpy as np

from ftapp.data.dataset import BatchKey
from ftapp.models.layers import restore_values_after
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState

_Item = TypeVar("_Item")
_ANY = -1  # a size that a trace is for any of


def repeat_traces(session: PhaseSession, state: TrainState) -> None:
    """Trace steps and evaluations as they were traced in the segment so far, and leave everything as it is.

    Args:
        session: The segment, entered.
        state: The state from which it goes on.
    """
    if keras.backend.backend() != "tensorflow" or state.position.step == state.segment_step:
        return
    with restore_values_after([*session.whole.variables, *session.optimizer.variables]):
        if _has_evaluated(state):
            _trace_evaluation(session)
        _trace_training(session, state.segment_step, state.position.step)


def pick_traced(items: Iterable[tuple[tuple[int, ...], _Item]]) -> Iterator[_Item]:
    """Pick the batches that are traced: those of sizes that no trace is for.

    Args:
        items: Batches with their sizes, in order.
    """
    first: tuple[int, ...] = ()
    general: tuple[int, ...] = ()  # sizes of the newest trace
    for sizes, item in items:
        if not first:
            first = general = sizes
        elif sizes != first and any(has not in (_ANY, size) for has, size in zip(general, sizes, strict=True)):
            general = tuple(size if has == size else _ANY for has, size in zip(general, sizes, strict=True))
        else:
            continue
        yield item


def _has_evaluated(state: TrainState) -> bool:
    """Return whether the model was evaluated since the segment began with the model that it trains."""
    last, begin = state.evaluated, state.segment_began
    return last is not None and (last.step > begin or begin == 0)


def _trace_evaluation(session: PhaseSession) -> None:
    spec = session.recipe.evaluate
    data, split = session.data[spec.split], getattr(session.splits, spec.split)
    order = session.evaluation_order(spec.split, spec.examples)
    if not session.prepare(spec.split, np.concatenate(order), None):
        return
    for indices in pick_traced(((len(indices), split.compute_width(indices) or 0), indices) for indices in order):
        session.model.test_on_batch(data.make_inputs(indices, None), data.get_targets(indices), return_dict=True)


def _trace_training(session: PhaseSession, begin: int, end: int) -> None:
    for indices, key in pick_traced(_list_steps(session, begin, end)):
        if not session.prepare("train", indices, key):
            return
        session.step(session.make_batch(indices, key), session.phase.base_rate)


def _list_steps(session: PhaseSession, begin: int, end: int) -> Iterator[tuple[tuple[int, ...], tuple[Any, BatchKey]]]:
    """Yield the sizes of the batch of each step, with its examples and its key."""
    for indices, key in session.order(begin, end):
        yield (len(indices), session.splits.train.compute_width(indices) or 0), (indices, key)
