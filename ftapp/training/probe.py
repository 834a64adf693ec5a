"""Times of single steps and evaluations of a session, for estimates before a run."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.data.dataset import BatchKey, EncodedDataset
from ftapp.data.order import order_epoch
from ftapp.training.batch import Batch
from ftapp.training.instrumented_model import read_values
from ftapp.training.session import PhaseSession

_BATCHES = 32  # of the first epoch, one of which is typical


def pick_typical_batch(train: EncodedDataset, batch_size: int, seed: int) -> NDArray[np.int64]:
    """Pick a batch of middling length of those that the run begins with.

    Args:
        train: The training examples.
        batch_size: Examples of a batch.
        seed: The run's seed.

    Returns:
        Its examples, as indices, int64 (batch,).
    """
    epoch = order_epoch(len(train), batch_size, (seed, 0, 0), train.lengths)
    batches = list(itertools.islice(epoch, _BATCHES))
    widths = [train.compute_width(indices) or 0 for indices in batches]
    return batches[int(np.argsort(widths)[len(widths) // 2])]


def time_step(session: PhaseSession, indices: NDArray[np.int64], *, warm_up: int = 2, timed: int = 3) -> float:
    """Time a training step on some examples, which changes the weights. Cached features are taken to be zero.

    Args:
        session: The phase.
        indices: The examples of the training split.
        warm_up: Steps before those that count; the first compiles.
        timed: Steps that count.

    Returns:
        Seconds, the median.
    """
    inputs, targets = session.make_blank("train", indices)
    batch = Batch(BatchKey(session.recipe.seed, session.index, 0, 0), inputs, session.mixer.soften(targets))
    return median_seconds(lambda: session.step(batch, session.phase.base_rate).read(), warm_up, timed)


def time_evaluation(session: PhaseSession, split: str, indices: NDArray[np.int64]) -> float:
    """Time the evaluation of one batch of a split, as `time_step` times a step."""
    x, y = session.make_blank(split, indices)
    return median_seconds(lambda: read_values(session.model.test_on_batch(x, y, return_dict=True)))


def median_seconds(call: Callable[[], Any], warm_up: int = 2, timed: int = 3) -> float:
    """Give the seconds of a call, the median of `timed` ones after `warm_up` others."""
    times = [_seconds(call) for _ in range(warm_up + timed)]
    return statistics.median(times[warm_up:])


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
