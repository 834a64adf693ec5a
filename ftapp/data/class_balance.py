"""Classes of unequal size: the weights of their losses, and epochs that have each class as often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import Problem, RecipeError, suggest_nearest
from ftapp.common.formatting import format_quantity
from ftapp.recipe import Balance

_NAMED = 10  # classes; of more, the largest and the smallest weight are told


def check_balance(balance: Balance, classes: Sequence[str]) -> None:
    """Check that the classes whose weights a recipe names are classes of its data.

    Args:
        balance: The recipe's [balance].
        classes: The names of the classes of the data.

    Raises:
        RecipeError: It names others.
    """
    weights = balance.class_weights
    foreign = [name for name in weights if name not in classes] if isinstance(weights, dict) else []
    if foreign:
        messages = [f"the data have no class '{name}'; {suggest_nearest(name, classes)}" for name in foreign]
        raise RecipeError([Problem("", "balance.class_weights", message) for message in messages])


def compute_weights(
    balance: Balance, classes: Sequence[str], counts: Sequence[int], examples: int | None = None
) -> NDArray[np.float64] | None:
    """Compute by how much the loss of an example counts, or of the labels that an example has.

    Balanced weights are n / (k * n_c) for n examples of k classes, n_c of them of the class. They are 1 on average over
    the examples (King & Zeng 2001, "Logistic regression in rare events data"; scikit-learn's `class_weight`). Where an
    example can have several labels, they are (n - n_c) / n_c: those with a label and those without it then count the
    same together (PyTorch's `pos_weight`).

    Args:
        balance: The recipe's [balance].
        classes: The names of the classes.
        counts: The training examples of each class.
        examples: The number of training examples, where they can have several labels; None where each has one class.

    Returns:
        The weights by class, float64 (classes,); None where all count the same.
    """
    wanted = balance.class_weights
    if wanted == "none":
        return None
    if wanted == "balanced":
        known = np.maximum(counts, 1)  # no example has the weight of a class without any
        if examples is None:
            return sum(counts) / (np.count_nonzero(counts) * known)
        return np.where((np.array(counts) > 0) & (known < examples), (examples - known) / known, 1.0)
    return np.array([wanted.get(name, 1.0) for name in classes])


def describe_balance(
    balance: Balance, classes: Sequence[str], counts: Sequence[int], examples: int | None = None
) -> list[str]:
    """Describe in sentences what `compute_weights` and `draw_balanced` make of the classes; none where nothing is done.

    Args:
        balance: The recipe's [balance].
        classes: The names of the classes.
        counts: The training examples of each class.
        examples: As in `compute_weights`.
    """
    sentences = []
    weights = compute_weights(balance, classes, counts, examples)
    if weights is not None:
        by_weight = sorted(zip(weights.tolist(), classes, strict=True), reverse=True)
        shown = by_weight if len(by_weight) <= _NAMED else [by_weight[0], by_weight[-1]]
        names = (" to " if shown != by_weight else ", ").join(f"{name} {weight:.3g}" for weight, name in shown)
        weighted = "the loss of an example is multiplied by the weight of its class"
        if examples is not None:
            weighted = "the loss of a label that an example has is multiplied by its weight"
        sentences.append(f"{weighted}: {names}")
    if balance.sampling == "balanced":
        share = round(sum(counts) / np.count_nonzero(counts))
        sentences.append(
            f"each epoch has {format_quantity(share, 'example')} of each class, those of small classes several times"
        )
    return sentences


def draw_balanced(labels: NDArray[np.integer], random: np.random.Generator) -> NDArray[np.int64]:
    """Draw an epoch of as many examples as there are, in which each class fills an equal share.

    The examples of a class come equally often, or once more. Which of them do is drawn for the epoch.

    Args:
        labels: The class of each example, int (examples,).
        random: Draws the examples and their order.

    Returns:
        Indices of examples in random order, int64 (examples,).
    """
    classes = np.unique(labels)
    shares = np.full(len(classes), len(labels) // len(classes))
    shares[random.permutation(len(classes))[: len(labels) % len(classes)]] += 1
    chosen = []
    for name, share in zip(classes, shares.tolist(), strict=True):
        members = np.flatnonzero(labels == name)
        whole, rest = divmod(share, len(members))
        chosen += [np.tile(members, whole), random.permutation(members)[:rest]]
    return random.permutation(np.concatenate(chosen))
