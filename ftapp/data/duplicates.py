"""Equal examples of a source: all but the first go, and those with different labels are a conflict.

No duplicate then sits on both sides of a split. Splits of the source itself stay whole: what the test split shares with
the rest is dropped from the rest, and likewise for a validation split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import Problem, RecipeError
from ftapp.data.examples import TEST, TRAIN, VALIDATION, Examples, Labels
from ftapp.data.hashes import find_owners
from ftapp.recipe.value_types import Conflicts

Indices = NDArray[np.int64]

_SHOWN = 3  # pairs
_RANKS = np.array([2, 1, 0], np.int8)  # of TRAIN, VALIDATION and TEST: what comes first of equal examples


@dataclass(frozen=True)
class Distinct:
    """The examples of a source without duplicates.

    Attributes:
        train: The examples for training, or for all splits where the source has none, ascending.
        validation: The validation split of the source, ascending.
        test: The test split of the source, ascending.
        duplicates: The number of duplicates that were dropped.
        notes: What became of equal examples with different labels, in sentences.
    """

    train: Indices
    validation: Indices
    test: Indices
    duplicates: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.train) + len(self.validation) + len(self.test)


def drop_duplicates(examples: Examples, conflicts: Conflicts) -> Distinct:
    """Drop the duplicates of a source's examples.

    Args:
        examples: The examples.
        conflicts: What becomes of equal examples with different labels (`data.conflicts`).

    Returns:
        The other examples.

    Raises:
        RecipeError: Equal examples have different labels, and the recipe does not say what becomes of them.
    """
    membership = _get_membership(examples)
    owners = _find_owners(examples, membership)
    sizes = np.bincount(owners, minlength=len(examples))
    disputed = _find_disputes(examples.labels, owners, membership)
    if disputed and conflicts == "stop":
        raise RecipeError([Problem("", "data.conflicts", _explain(examples, disputed, sizes))])
    is_first = owners == np.arange(len(examples))
    stays = (membership[owners] == membership) & (is_first | (membership != TRAIN))
    inside = np.array([owner for owner in disputed if membership[owner] == TRAIN], np.int64)
    left_out = int(sizes[inside].sum()) if conflicts == "drop" else 0
    if left_out:
        stays[inside] = False
    train, validation, test = (np.flatnonzero(stays & (membership == part)) for part in (TRAIN, VALIDATION, TEST))
    duplicates = len(examples) - int(stays.sum()) - left_out
    return Distinct(train, validation, test, duplicates, tuple(_describe(examples, disputed, sizes, conflicts)))


def _get_membership(examples: Examples) -> NDArray[np.int8]:
    """Return the split of each example, TRAIN where the source has none."""
    given = examples.given_split
    return np.full(len(examples), TRAIN, np.int8) if given is None else given


def _find_owners(examples: Examples, membership: NDArray[np.int8]) -> Indices:
    """Find the first of the examples that equal each one; those of held-out splits come before others."""
    return find_owners(examples.identify_all(), _RANKS[membership])


def _find_disputes(labels: Labels, owners: Indices, membership: NDArray[np.int8]) -> dict[int, int]:
    """Find equal examples that contradict each other. Numbers differ as measurements do; the first one counts.

    Returns:
        The first of some equal examples -> the next one with another label.
    """
    if np.issubdtype(labels.dtype, np.floating):
        return {}
    differs = labels != labels[owners]
    others = np.flatnonzero(differs.any(axis=1) if labels.ndim == 2 else differs)
    disputed: dict[int, int] = {}
    for other in others[np.argsort(_RANKS[membership[others]], kind="stable")].tolist():
        disputed.setdefault(int(owners[other]), other)
    return disputed


def describe_shared(examples: Examples) -> list[str]:
    """Describe training examples that are in a held-out split too; nothing where there are none."""
    if examples.given_split is None:
        return []
    membership = _get_membership(examples)
    is_train = membership == TRAIN
    shared = int((membership[_find_owners(examples, membership)][is_train] != TRAIN).sum())
    return [f"{shared:,} of {is_train.sum():,} training examples are in a held-out split too"] if shared else []


def _explain(examples: Examples, disputed: Mapping[int, int], sizes: Indices) -> str:
    """Explain a conflict, with the ways out."""
    count = sizes[list(disputed)].sum()
    pairs = _list_pairs(examples, list(disputed.items()))
    return (
        f"{count:,} examples contradict each other, equal ones with other labels: {pairs}; equal examples have one "
        "label; correct them, or leave them out of the training: --set data.conflicts=drop, or let the first of them "
        "count: --set data.conflicts=first"
    )


def _describe(examples: Examples, disputed: Mapping[int, int], sizes: Indices, conflicts: Conflicts) -> Iterator[str]:
    """Describe what became of conflicts: of those in a split of the source that stays whole, and of others."""
    given = examples.given_split
    for is_whole in (False, True):
        some = [each for each in disputed if (given is not None and given[each] != TRAIN) == is_whole]
        if not some:
            continue
        pairs = _list_pairs(examples, [(each, disputed[each]) for each in some])
        became = "are left out" if conflicts == "drop" else "the first of them count"
        if is_whole:
            became = "those of the source's held-out splits stay"
        count = sizes[some].sum()
        yield f"{count:,} examples contradict each other and {became}, equal ones with other labels: {pairs}"


def _list_pairs(examples: Examples, pairs: Sequence[tuple[int, int]]) -> str:
    """List the first pairs of equal examples with their labels."""
    names = [f"{_name(examples, one)} and {_name(examples, other)}" for one, other in pairs[:_SHOWN]]
    more = f" and {len(pairs) - _SHOWN:,} more" if len(pairs) > _SHOWN else ""
    return f"{', '.join(names)}{more}"


def _name(examples: Examples, index: int) -> str:
    """Name an example by its place and its label."""
    return f"{examples.locate(index)} ({examples.describe_label(index)})"
