"""What a model answers to held-out examples, beside the classes of `Confused`: sets of classes, and numbers."""

from __future__ import annotations

from ftapp.runs.event_types import Count, Event, MetricName, Number, Share, Step


class SetsScored(Event, frozen=True, kw_only=True, tag="sets-scored"):
    """The classes of examples that may have several, as the evaluation in the event before found them.

    Each list is in the order of `DataLoaded.classes`.

    Attributes:
        step: How many steps were made before.
        split: The split that was evaluated.
        thresholds: The score from which on an example is said to have the class.
        precision: The share of the examples said to have the class that have it.
        recall: The share of the examples with the class that were said to have it.
        f1: The harmonic mean of both.
        average_precision: The area below the curve of precision and recall; None for a class without examples.
        counts: The examples with the class.
        constant: The metrics of saying that each example has each class, by name.
        final: Whether this is the result on the whole test split.
    """

    step: Step
    split: str
    thresholds: list[Number]
    precision: list[Share]
    recall: list[Share]
    f1: list[Share]
    average_precision: list[Share | None]
    counts: list[Count]
    constant: dict[MetricName, Number] = {}
    final: bool = False

    def __post_init__(self) -> None:
        shares = {len(each) for each in (self.thresholds, self.precision, self.recall, self.f1)}
        if shares != {len(self.average_precision)} or shares != {len(self.counts)}:
            raise ValueError("the lists have an entry for each class")


class NumbersCompared(Event, frozen=True, kw_only=True, tag="numbers-compared"):
    """The true numbers and the answers of the evaluation in the event before.

    Attributes:
        step: How many steps were made before.
        split: The split that was evaluated.
        truth: The true numbers of some examples.
        answers: The model's answers to them.
        constant: The metrics of always answering the mean of the training split, by name.
        mean: The mean of the training split.
        final: Whether this is the result on the whole test split.
    """

    step: Step
    split: str
    truth: list[Number]
    answers: list[Number]
    constant: dict[MetricName, Number] = {}
    mean: Number = 0.0
    final: bool = False

    def __post_init__(self) -> None:
        if len(self.truth) != len(self.answers):
            raise ValueError("there is an answer to each number")
