"""What a model answers to held-out examples, beside the classes of `Confused`: sets, numbers, and single examples."""

from __future__ import annotations

import msgspec

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


class WatchedExample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A held-out example whose answers are followed.

    Attributes:
        example: The place of the example in its source, such as "row 7".
        truth: The label in words.
        text: The beginning of a text.
        picture: A small copy of an image in WebP.
    """

    example: str
    truth: str
    text: str = ""
    picture: bytes = b""


class ExamplesWatched(Event, frozen=True, kw_only=True, tag="examples-watched"):
    """Some held-out examples were chosen, to be followed through the training.

    Attributes:
        split: Their split.
        scores: What scores of answers are: probability, distance, or empty for none.
        examples: The examples.
    """

    split: str
    scores: str = ""
    examples: list[WatchedExample]


class WatchedAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to an example that is followed.

    Attributes:
        answer: The answer in words.
        score: Its score; None where it has none of its own.
        right: Whether it is right; None where answers are more or less right.
    """

    answer: str
    score: Number | None = None
    right: bool | None = None


class WatchedAnswered(Event, frozen=True, kw_only=True, tag="watched-answered"):
    """The answers to the examples of `ExamplesWatched`, by the evaluation before.

    Attributes:
        step: How many steps were made before.
        answers: An answer for each, in their order.
    """

    step: Step
    answers: list[WatchedAnswer]
