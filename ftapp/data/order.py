"""The order of examples, a pure function of seed, phase and epoch.

Nothing here keeps a position: the batch of any step can be made at any time, as paired arms and resuming need it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ftapp.data.dataset import Dataset

# Batches are made of texts of like length taken from this many batches' worth of shuffled texts, so little is padding
# and the order stays random.
_BUCKETS = 32


def order_epoch(
    size: int, batch_size: int, key: Sequence[int], lengths: NDArray[np.int64] | None = None, *, fill: bool = False
) -> list[NDArray[np.int64]]:
    """Return the batches of one epoch, which has each example once; the last batch may be smaller.

    Args:
        size: The number of examples.
        batch_size: Examples of a batch.
        key: (seed, phase, epoch), from which the order follows.
        lengths: Tokens of each example. Examples of like length then share a batch (bucketing), and the batches come in
            random order.
        fill: Whether the last batch is filled up with the epoch's first examples, which the epoch then has twice.

    Returns:
        The batches, each of indices, int64 (batch,).
    """
    random = np.random.default_rng(list(key))
    order = random.permutation(size)
    if fill and size > batch_size:
        order = np.concatenate([order, order[: -size % batch_size]])
    if lengths is None:
        return split_into_batches(order, batch_size)
    buckets = [
        bucket[np.argsort(lengths[bucket], kind="stable")]
        for bucket in split_into_batches(order, batch_size * _BUCKETS)
    ]
    batches = split_into_batches(np.concatenate(buckets), batch_size)
    return [batches[index] for index in random.permutation(len(batches))]


def order_phase(
    dataset: Dataset, batch_size: int, steps: int, key: Sequence[int], *, fill: bool
) -> Iterator[list[NDArray[np.int64]]]:
    """Yield the batches of a phase, epoch by epoch; the last epoch may end early.

    Args:
        dataset: The training examples.
        batch_size: Examples of a batch.
        steps: Batches of the phase.
        key: (seed, phase), from which the order follows.
        fill: As in `order_epoch`, for models that take statistics from batches, for which a small rest is too few.

    Yields:
        The batches of an epoch, each of indices, int64 (batch,).
    """
    per_epoch = math.ceil(len(dataset) / batch_size)
    for epoch in range(math.ceil(steps / per_epoch)):
        order = order_epoch(len(dataset), batch_size, (*key, epoch), dataset.lengths, fill=fill)
        yield order[: steps - epoch * per_epoch]


def order_evaluation(
    size: int, batch_size: int, limit: int | None, seed: int, lengths: NDArray[np.int64] | None = None
) -> list[NDArray[np.int64]]:
    """Return the batches of an evaluation, the same each time.

    Args:
        size: The number of examples.
        batch_size: Examples of a batch.
        limit: The number of examples that the seed draws; None for all.
        seed: The run's seed.
        lengths: Tokens of each example, by which the examples are sorted if given.

    Returns:
        The batches, each of indices, int64 (batch,).
    """
    chosen = np.arange(size)
    if limit is not None and limit < size:
        chosen = np.sort(np.random.default_rng(seed).permutation(size)[:limit])
    if lengths is not None:
        chosen = chosen[np.argsort(lengths[chosen], kind="stable")]
    return split_into_batches(chosen, batch_size)


def split_into_batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Split examples, in their order, into batches.

    Args:
        order: Indices of examples, int64 (examples,).
        size: Examples of a batch.

    Returns:
        The batches; the last one may be smaller.
    """
    return [order[start : start + size] for start in range(0, len(order), size)]
