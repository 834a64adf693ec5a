"""The order of examples, a pure function of seed, phase and epoch.

Nothing here keeps a position: the batch of any step can be made at any time, as paired arms and resuming need it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ftapp.data.class_balance import draw_balanced
from ftapp.data.dataset import BatchKey, Dataset, Lengths

# A bucket is this many batches' worth of shuffled texts. Texts of like length in a bucket share a batch, so little is
# padding and the order stays random.
_BUCKET = 32


def order_epoch(
    size: int,
    batch_size: int,
    key: Sequence[int],
    lengths: Lengths | None = None,
    *,
    labels: NDArray[np.integer] | None = None,
    fill: bool = False,
    start: int = 0,
) -> Iterator[NDArray[np.int64]]:
    """Yield the batches of one epoch; the last batch may be smaller.

    Args:
        size: The number of examples.
        batch_size: Examples of a batch.
        key: (seed, phase, epoch), from which the order follows.
        lengths: Tokens of each example. Examples of like length then share a batch (bucketing), and the batches of a
            bucket come in random order. Lengths are looked up for one bucket after another, so that texts are tokenized
            as the training reaches them.
        labels: The class of each example, int (examples,). Each class then fills an equal share of the epoch, which has
            each example once otherwise.
        fill: Whether the last batch is filled up with the epoch's first examples, which the epoch then has twice.
        start: The first batch that is yielded, from 0.

    Yields:
        A batch: indices, int64 (batch,).
    """
    random = np.random.default_rng(list(key))
    order = random.permutation(size) if labels is None else draw_balanced(labels, random)
    if fill and size > batch_size:
        order = np.concatenate([order, order[: -size % batch_size]])
    if lengths is None:
        yield from split_into_batches(order, batch_size)[start:]
        return
    for bucket in split_into_batches(order, batch_size * _BUCKET):
        places = random.permutation(math.ceil(len(bucket) / batch_size))
        if start < len(places):
            batches = split_into_batches(bucket[np.argsort(lengths[bucket], kind="stable")], batch_size)
            yield from (batches[place] for place in places[start:])
        start = max(0, start - len(places))


def order_phase(
    dataset: Dataset,
    batch_size: int,
    key: tuple[int, int],
    start: int,
    stop: int,
    *,
    labels: NDArray[np.integer] | None = None,
    fill: bool,
) -> Iterator[tuple[NDArray[np.int64], BatchKey]]:
    """Yield the steps of a phase from `start` to `stop`, epoch by epoch.

    Args:
        dataset: The training examples.
        batch_size: Examples of a batch.
        key: (seed, phase), from which the order follows.
        start: The first step that is yielded, from 0.
        stop: The step that ends the phase.
        labels: As in `order_epoch`.
        fill: As in `order_epoch`, for models that take statistics from batches, for which a small rest is too few.

    Yields:
        The examples of a step, as indices, int64 (batch,), and its key.
    """
    per_epoch = math.ceil(len(dataset) / batch_size)
    for epoch in range(start // per_epoch, math.ceil(stop / per_epoch)):
        first = max(0, start - epoch * per_epoch)
        batches = order_epoch(
            len(dataset), batch_size, (*key, epoch), dataset.lengths, labels=labels, fill=fill, start=first
        )
        for number, indices in enumerate(itertools.islice(batches, stop - epoch * per_epoch - first), first):
            yield indices, BatchKey(*key, epoch, number)


def order_evaluation(
    size: int, batch_size: int, limit: int | None, seed: int, lengths: Lengths | None = None
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
