"""Splits of grouped examples, such as the photos of a patient or the sentences of a speaker: no group is in two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ORDERS = 64  # random orders of the groups, of which the best is taken


def draw_groups(
    labels: NDArray[np.integer],
    groups: NDArray[np.integer],
    count: int,
    generator: np.random.Generator,
) -> NDArray[np.bool_] | None:
    """Draw whole groups that have about `count` examples together, each class in proportion.

    The groups are put into many random orders. Of each order the first groups are taken, as many as come nearest to the
    wanted number of examples of each class; the best of all orders is the answer. At least one group is taken, and an
    example of each class is left.

    Args:
        labels: The class of each example, int (examples,).
        groups: The group of each example, int (examples,).
        count: The wanted number of examples.
        generator: Draws the orders.

    Returns:
        Which examples are drawn, bool (examples,); None where no choice of groups leaves an example of each class.
    """
    names, places = np.unique(groups, return_inverse=True)
    classes, columns = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (places, columns), 1)
    whole = counts.sum(axis=0)
    wanted = whole * (count / len(labels))
    best: tuple[float, NDArray[np.int64]] | None = None
    for _ in range(_ORDERS):
        order = generator.permutation(len(names))
        taken = counts[order].cumsum(axis=0)
        distances = ((taken - wanted) ** 2).sum(axis=1)
        distances[(taken == whole).any(axis=1)] = np.inf
        last = int(distances.argmin())
        if np.isfinite(distances[last]) and (best is None or distances[last] < best[0]):
            best = float(distances[last]), order[: last + 1]
    return None if best is None else np.isin(places, best[1])
