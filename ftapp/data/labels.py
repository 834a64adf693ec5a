"""Classes: their order, and which class a label stands for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def is_integer(label: str) -> bool:
    """Whether a label is written as a whole number."""
    return label.isascii() and label.removeprefix("-").isdigit()


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """The different labels, sorted: as numbers when all are whole numbers, else as text."""
    found = set(labels)
    if all(map(is_integer, found)):
        return tuple(sorted(found, key=lambda label: (int(label), label)))
    return tuple(sorted(found))


def positions(labels: Collection[str], classes: Sequence[str]) -> dict[str, int]:
    """Label -> position of its class in `classes`. Labels that stand for no class are left out.

    A label is the name of a class. When none is and all are whole numbers, they count the classes from 0, so that
    `classes = ["negative", "positive"]` names the labels 0 and 1.
    """
    found = {label: position for position, label in enumerate(classes) if label in labels}
    if not found and all(map(is_integer, labels)):
        return {label: int(label) for label in labels if 0 <= int(label) < len(classes)}
    return found
