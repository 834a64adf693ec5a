"""Strata: groups of examples with similar labels. Each split has a share of every stratum in proportion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_RANGES = 10  # of numbers, with about as many examples each
_LEAST = 10  # examples of a range


def find_strata(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Find the stratum of each example.

    It is the class of an example that has one; the rarest of several classes, as rare classes are the hardest to spread
    (Sechidis, Tsoumakas & Vlahavas 2011, "On the stratification of multi-label data"); and of a number one of up to ten
    ranges with about as many examples each.

    Args:
        labels: Class numbers, int (examples,); whether an example has each class, bool (examples, classes); or numbers,
            float (examples,).

    Returns:
        The strata, int32 (examples,), from 0; the examples without any class are stratum 0 of sets.
    """
    if labels.ndim == 2:
        counts = labels.sum(axis=0)
        by_rarity = np.argsort(counts, kind="stable")
        present = labels[:, by_rarity]
        rarest = by_rarity[present.argmax(axis=1)]
        return np.where(present.any(axis=1), rarest + 1, 0).astype(np.int32)
    if np.issubdtype(labels.dtype, np.floating):
        count = max(1, min(_RANGES, len(labels) // _LEAST))
        edges = np.unique(np.quantile(labels, np.arange(1, count) / count)) if len(labels) else labels
        return np.searchsorted(edges, labels, side="right").astype(np.int32)
    return labels.astype(np.int32, copy=False)
