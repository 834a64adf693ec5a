"""The mean and variance that a new head's normalization keeps for the whole run."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

from ftapp.data.dataset import BatchKey
from ftapp.data.order import order_epoch, split_into_batches
from ftapp.data.prefetch import prefetch
from ftapp.models import heads
from ftapp.recipe import Phase
from ftapp.recipe.schedule import count_steps
from ftapp.training.session import PhaseSession

# Examples that statistics of features are of, at least.
_STATISTICS = 512


def calibrate_head(session: PhaseSession) -> None:
    """Give a new head's normalization, if there is one, the statistics that it keeps for the whole run.

    They are of the training split as the first epoch sees it, augmented if the recipe says so; of `count_statistics`
    examples of it. Where the session's report gives up, they are of the examples so far.

    Args:
        session: The session of the run's first phase.
    """
    if heads.find_normalization(session.model) is None:
        return
    train, recipe = session.splits.train, session.recipe
    size, key = session.phase.batch_size, (recipe.seed, 0, 0)
    first = order_epoch(len(train), size, key, train.lengths, labels=session.labels)
    wanted = count_statistics(session.phase, len(train), is_known=session.is_known)
    chosen = np.concatenate(list(itertools.islice(first, math.ceil(wanted / size))))[:wanted]
    if not session.prepare("train", chosen, BatchKey(recipe.seed, 0, 0, 0)):
        return
    if train.lengths is not None:  # so that little is padding
        chosen = chosen[np.argsort(train.lengths[chosen], kind="stable")]
    order = split_into_batches(chosen, recipe.evaluate.batch_size)

    def inputs(number: int) -> Any:
        return session.data["train"].make_inputs(order[number], BatchKey(recipe.seed, 0, 0, number))

    report = functools.partial(session.report, "mean and variance of the features")
    made = prefetch(inputs, iter(range(len(order))))
    heads.calibrate(session.model, made, lambda done: report(done, len(chosen)))


def count_statistics(phase: Phase, examples: int, *, is_known: bool) -> int:
    """Count the training examples that give a new head's normalization its statistics.

    Where the layers below are frozen, these are all that the first epoch uses. Elsewhere features change as the layers
    below train, and 512 are enough: their mean is known to 4% of a standard deviation.

    Args:
        phase: The run's first phase.
        examples: The number of training examples.
        is_known: Whether the layers below are frozen (`PhaseSession.is_known`).
    """
    used = min(examples, count_steps(phase, examples)[0] * phase.batch_size) if is_known else 0
    return min(examples, max(_STATISTICS, used))
