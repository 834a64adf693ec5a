"""Folds of cross-validation: parts of the examples, each the test split of one run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import Problem, RecipeError
from ftapp.common.formatting import format_quantity, join_names
from ftapp.data.examples import Examples, count_classes
from ftapp.data.labels import quote_label
from ftapp.recipe import Data

Indices = NDArray[np.int64]


def take_fold(examples: Examples, pool: Indices, spec: Data, generator: np.random.Generator) -> tuple[Indices, Indices]:
    """Divide examples into folds.

    Args:
        examples: The examples of the source.
        pool: Those to divide, int64 (m,).
        spec: The recipe's [data], which has a number of folds. Without a fold, the first is taken.
        generator: Draws the folds.

    Returns:
        The examples of the fold, and the others.

    Raises:
        RecipeError: The source has splits, there are fewer examples or groups than folds, or a class is in one fold
            alone.
    """
    count, number = spec.folds or 1, spec.fold or 1
    if examples.given_split is not None:
        rule = "folds divide all examples: choose a source without splits; for files, --set data.splits=none"
        raise _make_error(f"the source has splits of its own; {rule}")
    groups = None if examples.groups is None else examples.groups[pool]
    found, kind = (len(pool), "example") if groups is None else (len(np.unique(groups)), "group")
    if found < count:
        most = f"; take at most data.folds = {found}" if found > 1 else ""
        raise _make_error(
            f"{format_quantity(found, kind)} are too few for {count} folds; each fold has one or more{most}"
        )
    drawn = draw_folds(examples.strata[pool], groups, count, generator)
    whole = count_classes(examples.labels[pool], len(examples.classes))
    for fold in range(count):
        held_out = count_classes(examples.labels[pool[drawn == fold]], len(examples.classes))
        lost = [name for name, of, held in zip(examples.classes, whole, held_out, strict=True) if 0 < of == held]
        if lost:
            names = join_names(list(map(quote_label, lost)))
            rule = "each class has examples in two folds or more, to train on and to test on"
            raise _make_error(f"only fold {fold + 1} of {count} has examples of {names}; {rule}")
    return pool[drawn == number - 1], pool[drawn != number - 1]


def describe(spec: Data) -> Iterator[str]:
    """Describe the test split in a sentence, where it is a fold."""
    if spec.folds is not None:
        yield f"the test split is fold {spec.fold or 1} of {spec.folds}; each example is in the test split of one fold"


def draw_folds(
    strata: NDArray[np.integer], groups: NDArray[np.integer] | None, count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the fold of each example, each stratum in proportion.

    The folds follow from the state of the generator, so the runs of all folds draw the same ones. Examples are dealt
    out like cards, stratum by stratum: sizes of folds differ by one example at most, and so do the examples of a
    stratum. Groups are dealt out from the largest to the smallest, each to the fold that it fits best.

    Args:
        strata: The stratum of each example, int (examples,).
        groups: The group of each example, int (examples,); None for none.
        count: The number of folds, at most that of the examples or groups.
        generator: Draws them.

    Returns:
        The folds, int64 (examples,), from 0; none is empty.
    """
    if groups is not None:
        return _deal_groups(strata, groups, count, generator)
    folds = np.empty(len(strata), np.int64)
    shuffled = generator.permutation(len(strata))
    folds[shuffled[np.argsort(strata[shuffled], kind="stable")]] = np.arange(len(strata)) % count
    return folds


def _deal_groups(
    strata: NDArray[np.integer], groups: NDArray[np.integer], count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Deal out whole groups.

    With the share that each fold has of each stratum, and of all examples, folds are the more even the smaller the sum
    of squares of these shares is. A group goes to the fold in which it adds least to the sum. Nothing adds less than a
    group in an empty fold.
    """
    names, places = np.unique(groups, return_inverse=True)
    known, columns = np.unique(strata, return_inverse=True)
    shares = np.zeros((len(names), len(known) + 1))
    np.add.at(shares, (places, columns), 1 / np.bincount(columns)[columns])
    sizes = np.bincount(places)
    shares[:, -1] = sizes / len(strata)
    folds, filled = np.empty(len(names), np.int64), np.zeros((count, len(known) + 1))
    shuffled = generator.permutation(len(names))
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        folds[group] = np.argmin(filled @ shares[group])
        filled[folds[group]] += shares[group]
    return folds[places]


def _make_error(message: str) -> RecipeError:
    return RecipeError([Problem("", "data.folds", message)])
