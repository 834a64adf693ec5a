"""What the result of a classifier says of its classes: how many of each were found, and the best constant answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ftapp.recipe.metrics import ACCURACY, MACRO_F1
from ftapp.runs.history import History
from ftapp.runs.phase_events import Confused

_UNEVEN = 1.5  # times as many examples of the largest class as of the smallest


@dataclass(frozen=True)
class ConstantAnswer:
    """The best constant answer: the class that is most frequent in the test split, and what it measures.

    Attributes:
        name: The name of the class.
        accuracy: Its share of the examples, 0..1.
        macro_f1: The mean F1 of the classes that have examples, 0..1; that of all others is 0.
    """

    name: str
    accuracy: float
    macro_f1: float

    @property
    def metrics(self) -> dict[str, float]:
        """What the answer measures, by the names of metrics."""
        return {ACCURACY.name: self.accuracy, MACRO_F1.name: self.macro_f1}


@dataclass(frozen=True)
class Recall:
    """How many of a class's test examples were found."""

    name: str
    found: int
    examples: int

    def __str__(self) -> str:
        share = f" ({self.found / self.examples:.1%})" if self.examples else ""
        return f"{self.name} {self.found:,} of {self.examples:,}{share}"


def find_constant_answer(history: History) -> ConstantAnswer | None:
    """The constant answer to the test split; None for language models and before the split is known."""
    data = history.data
    if data is None or not data.classes or history.set_scores:  # of several labels no answer is one class
        return None
    final = final_confusion(history)
    sizes = [sum(row) for row in final.counts] if final else list(data.counts.get("test", []))
    if len(sizes) != len(data.classes) or not sum(sizes):
        return None
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    share = sizes[largest] / sum(sizes)
    return ConstantAnswer(data.classes[largest], share, 2 * share / (1 + share) / sum(map(bool, sizes)))


def count_recalls(history: History) -> list[Recall]:
    """How many examples of each class of the test split were found, in the order of the classes."""
    final, data = final_confusion(history), history.data
    if final is None or data is None:
        return []
    rows = zip(data.classes, final.counts, strict=True)
    return [Recall(name, row[index], sum(row)) for index, (name, row) in enumerate(rows)]


def is_uneven(found: Sequence[Recall]) -> bool:
    """Whether some classes are so much smaller than others that the accuracy hides what becomes of them."""
    sizes = [each.examples for each in found]
    return bool(sizes) and max(sizes) > _UNEVEN * min(sizes)


def final_confusion(history: History) -> Confused | None:
    """The confusion of the result; None where it does not fit the classes, as in a folder that was tampered with."""
    return next((each for each in reversed(history.confusions) if each.final and fits_classes(each, history)), None)


def fits_classes(confused: Confused, history: History) -> bool:
    """Whether a confusion is of as many classes as the data have."""
    return history.data is not None and len(confused.counts) == len(history.data.classes)
