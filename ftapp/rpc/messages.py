"""The answers of helper processes: structures of models, costs of phases, previews and surveys of data, and more."""

from __future__ import annotations

from typing import Literal

import msgspec

from ftapp.common.formatting import join_labels
from ftapp.runs.phase_events import CacheChoice, Estimate

Meaning = Literal["probabilities", "one-vs-rest", "decision values", "number"]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Measured times of a phase. FLOPs are estimates for them, None where Keras cannot tell shapes.

    Attributes:
        step: Seconds of one training step.
        step_flops: FLOPs of that step.
        forward: Seconds of one forward pass of the whole model over the batch of that step.
        forward_flops: FLOPs of that pass.
        int8_saves: Seconds that int8 features would save in the phase; None where they are not worth it.
    """

    step: float
    step_flops: int | None
    forward: float
    forward_flops: int | None
    int8_saves: float | None = None


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """The costs of a phase with some rules for its layers.

    Attributes:
        parameters: How many the model has.
        trainable: How many of them train.
        estimate: FLOPs of a step and bytes of memory, from shapes; None where Keras cannot tell them.
        is_most: Whether the memory is the most that a device needs, since only a run divides weights over devices.
        choice: Where the model is cut and whether features are cached, with the reason. The bytes of features of
            texts follow from the lengths of some of the texts. None while `data_error` says why the data cannot be
            had.
        data_error: Why the data could not be read, in words; None when they were.
        examples: How many examples train; None as `choice`.
        steps: How many steps the phase has; None as `choice`.
        epochs: How many epochs these are; None as `choice`.
        step: Seconds of a step; None while nothing has been timed.
        basis: `measured`: a phase with just these layers was timed. `derived`: the step's FLOPs on the line through
            what was timed (`Timing`).
        int8_saves: As in `Timing`; None while the phase has not been timed.
    """

    parameters: int
    trainable: int
    estimate: Estimate | None
    choice: CacheChoice | None
    data_error: str | None
    examples: int | None
    steps: int | None
    epochs: float | None
    step: float | None
    basis: Literal["measured", "derived"] | None
    int8_saves: float | None = None
    is_most: bool = False


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One of the first examples of the training split.

    Attributes:
        label: The name of its class; None for language models.
        text: The whole text or prompt, or its first characters when `characters` is more.
        characters: How many the text has, with its completion.
        completion: The completion of a prompt, or its first characters; None for other texts.
        file: A PNG thumbnail of the image (RGB).
        size: (width, height) of the image itself.
    """

    label: str | None = None
    text: str | None = None
    characters: int | None = None
    completion: str | None = None
    file: str | None = None
    size: tuple[int, int] | None = None


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe's data.

    Attributes:
        sizes: Examples of each split; documents for language models.
        classes: The names of the classes.
        counts: Examples of each split by class, in the order of `classes`.
        characters: Of each split, for language models.
        duplicates: How many duplicates were dropped.
        examples: The first training examples.
        notes: What was decided when the source was read, in sentences.
    """

    sizes: dict[str, int]
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    characters: dict[str, int] | None
    duplicates: int
    examples: tuple[Example, ...]
    notes: tuple[str, ...] = ()


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe's texts as its model reads them.

    Attributes:
        counts: Tokens of each of the first training examples with the special ones around them, before they are cut.
        length: The most tokens that the model reads; a longer example is cut.
        sequences: How many sequences a language model makes of each split; None for classifiers.
    """

    counts: tuple[int, ...]
    length: int
    sequences: dict[str, int] | None


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """Training images and augmented forms of them, as PNG files (RGB).

    The files stay until the second grid after this one.

    Attributes:
        rows: A row for each image, the image itself first.
        labels: The names of the images' classes.
        size: (width, height) of each file.
    """

    rows: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]
    size: tuple[int, int]


Mark = Literal["", "left out", "moved"]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a text.

    Attributes:
        text: The piece.
        mark: Whether it is left out, or in a word that has come to another's place.
    """

    text: str
    mark: Mark


class Rewritten(msgspec.Struct, frozen=True, kw_only=True):
    """A training text, as far as the model reads it, and what augmentation makes of it.

    Attributes:
        label: The name of its class.
        before: The text in pieces.
        after: The augmented text in pieces.
    """

    label: str
    before: tuple[Span, ...]
    after: tuple[Span, ...]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """How well a linear classifier tells the classes apart on the features of one place of the pretrained model.

    Attributes:
        block: The block's name.
        layer: The layer of the backbone whose output is read; None of a block that lies inside of one.
        right: The share of the sample that it tells right, in cross-validation, 0 to 1.
        lead: An interval for how much more that is than on the last block's features; (0, 0) for the last block
            itself.
    """

    block: str
    layer: str | None
    right: float
    lead: tuple[float, float]


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe's data, and how its pretrained model's features fit them (`ftapp.analysis.transfer_probe`).

    Attributes:
        classes: The names of the classes.
        counts: Training examples of each class.
        examples: Of all splits together, whatever the recipe's limit.
        sample: How many of the training examples were probed.
        guessing: The share of them in the most frequent class, 0 to 1.
        probes: One for each block, from the bottom up; empty where the blocks cannot be read one by one.
        head: On what a new classifier of texts would read, where that is not the last block's output, else None.
        positions: (height, width) of the last block's output for images, else None.
        notes: What was decided when the source was read, in sentences.
    """

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    examples: int
    sample: int
    guessing: float
    probes: tuple[Probe, ...]
    head: Probe | None
    positions: tuple[int, int] | None
    notes: tuple[str, ...] = ()


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A run's model that is ready.

    Attributes:
        task: The recipe's task.
        classes: The names of the classes.
        head: The recipe's head.
        no_base: Why there is no model from before training beside it; None when there is one.
        longest: The most tokens that a language model reads and writes in all; None for any number.
    """

    task: str
    classes: tuple[str, ...]
    head: str
    no_base: str | None
    longest: int | None = None


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a model to one example.

    Attributes:
        classes: The names of the classes; empty for a number.
        scores: By class, in the order of `classes`; or the number alone.
        meaning: `probabilities` add up to 1 (softmax). `one-vs-rest` are probabilities of each class against all
            others. `decision values` are distances from the margin (linear-svm), above 0 for the class. `number` is
            the answer itself.
        thresholds: The score of each class from which on the example has it, where it may have several; else None.
        tokens: How many a text has, before it is cut.
        length: The most tokens that the model reads.
    """

    classes: tuple[str, ...]
    scores: tuple[float, ...]
    meaning: Meaning
    thresholds: tuple[float, ...] | None = None
    tokens: int | None = None
    length: int | None = None

    @property
    def best(self) -> tuple[str, float]:
        """The class with the highest score, and the score; of a number no class."""
        if not self.classes:
            return "", self.scores[0]
        return max(zip(self.classes, self.scores, strict=True), key=lambda pair: pair[1])

    @property
    def answered(self) -> tuple[str, ...]:
        """The classes that the example has by the model's answer; none of a number."""
        if self.thresholds is None:
            return (self.best[0],) if self.classes else ()
        rows = zip(self.classes, self.scores, self.thresholds, strict=True)
        return tuple(name for name, score, threshold in rows if score >= threshold)

    @property
    def answer(self) -> str:
        """The answer in words: the class, the classes, or the number."""
        if not self.classes:
            return f"{self.scores[0]:.6g}"
        return self.best[0] if self.thresholds is None else join_labels(self.answered)


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """An example of the test split with the answer of a model.

    Attributes:
        label: Its class, its classes, or its number, in words.
        prediction: The model's answer.
        number: Its number, of regression; None for classes.
        text: The example, if it is a text.
        file: The example, if it is an image.
    """

    label: str
    prediction: Prediction
    number: float | None = None
    text: str | None = None
    file: str | None = None

    @property
    def found(self) -> str:
        """The model's answer in words."""
        return self.prediction.answer

    @property
    def error(self) -> float | None:
        """The distance of the answer from the number; None for classes."""
        return None if self.number is None else abs(self.prediction.scores[0] - self.number)

    @property
    def is_right(self) -> bool:
        """Whether the answer is the label; a number is right as far as it is written."""
        return self.found == self.label


class Generated(msgspec.Struct, frozen=True, kw_only=True):
    """A continuation of a prompt.

    Attributes:
        text: The continuation, without the prompt.
        tokens: How many tokens were written.
        seconds: How long they took, with the reading of the prompt.
        ended: Whether the model wrote its end token.
        limit: How many tokens the model reads in all; None for any number.
        stopped: Whether the model wrote a stop word, before which the text ends.
    """

    text: str
    tokens: int
    seconds: float
    ended: bool
    limit: int | None
    stopped: bool = False

    @property
    def end(self) -> Literal["end token", "stop word", "length"]:
        """Why the text ended."""
        return "stop word" if self.stopped else "end token" if self.ended else "length"


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """How an export's answers compare with the model's (`ftapp.models.export.request.ExportCheck`)."""

    examples: int
    agreeing: int
    difference: float
    tolerance: float | None
    least_agreement: float
    tokens: int | None
    metric: str
    before: float | None
    after: float | None
    continuations: tuple[int, int] | None


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A written export.

    Attributes:
        format: Its format.
        int8: Whether it is in int8.
        folder: Its folder.
        files: The bytes of each file by its path in the folder.
        notes: What a user has to know of the files, in sentences without a full stop.
        check: The check; None where it was left out.
        seconds: How long the export took, with the check.
    """

    format: str
    int8: bool
    folder: str
    files: dict[str, int]
    notes: tuple[str, ...]
    check: ExportReport | None
    seconds: float
