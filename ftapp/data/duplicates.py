"""Equal examples of a source: all but the first go, and those with different labels are a conflict.

No duplicate then sits on both sides of a split. Splits of the source itself stay whole: what the test split shares with
the rest is dropped from the rest, and likewise for a validation split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import Problem, RecipeError
from ftapp.data.examples import TEST, TRAIN, VALIDATION, Examples, Labels
from ftapp.recipe.value_types import Conflicts

Indices = NDArray[np.int64]

_SHOWN = 3  # pairs


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
    given = examples.given_split
    membership = np.full(len(examples), TRAIN, np.int8) if given is None else given
    first: dict[bytes, int] = {}  # of equal examples, those of held-out splits before others
    number: Counter[bytes] = Counter()
    disputed: dict[bytes, int] = {}  # the first example whose label differs
    parts: dict[int, list[int]] = {TEST: [], VALIDATION: [], TRAIN: []}
    for part in parts:
        before = set(first)
        for index in map(int, np.flatnonzero(membership == part)):
            digest = examples.identify(index)
            owner = first.setdefault(digest, index)
            number[digest] += 1
            if digest not in before and (owner == index or part != TRAIN):
                parts[part].append(index)
            if _contradict(examples.labels, owner, index):
                disputed.setdefault(digest, index)
    if disputed and conflicts == "stop":
        raise RecipeError([Problem("", "data.conflicts", _explain(examples, first, disputed, number))])
    inside = {digest: other for digest, other in disputed.items() if membership[first[digest]] == TRAIN}
    left_out = sum(number[digest] for digest in inside) if conflicts == "drop" else 0
    if left_out:
        gone = {first[digest] for digest in inside}
        parts[TRAIN] = [index for index in parts[TRAIN] if index not in gone]
    arrays = {part: np.array(found, np.int64) for part, found in parts.items()}
    duplicates = len(examples) - sum(map(len, arrays.values())) - left_out
    notes = tuple(_describe(examples, first, disputed, number, conflicts))
    return Distinct(arrays[TRAIN], arrays[VALIDATION], arrays[TEST], duplicates, notes)


def _contradict(labels: Labels, one: int, other: int) -> bool:
    """Tell whether equal examples contradict each other. Numbers differ as measurements do; the first one counts."""
    return not np.issubdtype(labels.dtype, np.floating) and not np.array_equal(labels[one], labels[other])


def describe_shared(examples: Examples) -> list[str]:
    """Describe training examples that are in a held-out split too; nothing where there are none."""
    if examples.given_split is None:
        return []
    is_train = examples.given_split == TRAIN
    held_out = {examples.identify(int(index)) for index in np.flatnonzero(~is_train)}
    train = [int(index) for index in np.flatnonzero(is_train)]
    shared = sum(examples.identify(index) in held_out for index in train)
    return [f"{shared:,} of {len(train):,} training examples are in a held-out split too"] if shared else []


def _explain(
    examples: Examples, first: Mapping[bytes, int], disputed: Mapping[bytes, int], number: Mapping[bytes, int]
) -> str:
    """Explain a conflict, with the ways out."""
    count = sum(number[digest] for digest in disputed)
    pairs = _list_pairs(examples, [(first[digest], other) for digest, other in disputed.items()])
    return (
        f"{count:,} examples contradict each other, equal ones with other labels: {pairs}; equal examples have one "
        "label; correct them, or leave them out of the training: --set data.conflicts=drop, or let the first of them "
        "count: --set data.conflicts=first"
    )


def _describe(
    examples: Examples,
    first: Mapping[bytes, int],
    disputed: Mapping[bytes, int],
    number: Mapping[bytes, int],
    conflicts: Conflicts,
) -> Iterator[str]:
    """Describe what became of conflicts: of those in a split of the source that stays whole, and of others."""
    given = examples.given_split
    for is_whole in (False, True):
        some = [each for each in disputed if (given is not None and given[first[each]] != TRAIN) == is_whole]
        if not some:
            continue
        pairs = _list_pairs(examples, [(first[digest], disputed[digest]) for digest in some])
        became = "are left out" if conflicts == "drop" else "the first of them count"
        if is_whole:
            became = "those of the source's held-out splits stay"
        count = sum(number[digest] for digest in some)
        yield f"{count:,} examples contradict each other and {became}, equal ones with other labels: {pairs}"


def _list_pairs(examples: Examples, pairs: Sequence[tuple[int, int]]) -> str:
    """List the first pairs of equal examples with their labels."""
    names = [f"{_name(examples, one)} and {_name(examples, other)}" for one, other in pairs[:_SHOWN]]
    more = f" and {len(pairs) - _SHOWN:,} more" if len(pairs) > _SHOWN else ""
    return f"{', '.join(names)}{more}"


def _name(examples: Examples, index: int) -> str:
    """Name an example by its place and its label."""
    return f"{examples.locate(index)} ({examples.describe_label(index)})"
