"""The model's answers to held-out examples: what is measured and told of them, and how an answer is named.

Each kind of labels (`ftapp.recipe.tasks.Task.labels`) has one class here, but for those that are part of the examples,
such as the next tokens.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ftapp.analysis.metrics.auc import measure_auc
from ftapp.analysis.metrics.calibration import bin_confidences
from ftapp.analysis.metrics.confusion import MOST_CLASSES, count_confusion
from ftapp.analysis.metrics.numbers import score_numbers
from ftapp.analysis.metrics.scores import score_classes
from ftapp.analysis.metrics.sets import SetScores, choose_thresholds, score_sets
from ftapp.data.dataset import EncodedSplits
from ftapp.data.examples import describe_set
from ftapp.models.objectives import usual_threshold
from ftapp.recipe import TASKS, Recipe
from ftapp.recipe.metrics import AUC, MACRO_F1, MEAN_AVERAGE_PRECISION, MICRO_F1
from ftapp.runs.answer_events import NumbersCompared, SetsScored
from ftapp.runs.example_results import ScoreKind
from ftapp.runs.phase_events import Confused

Scores = NDArray[np.floating]
AnswerEvent = Confused | SetsScored | NumbersCompared

_MOST_PAIRS = 500  # of numbers in an event


class Answers(NamedTuple):
    """The answers to some examples.

    Attributes:
        truths: The labels, (examples, ...).
        answers: The model's answers, of the same shape and kind.
        truth_scores: The scores of the labels, (examples,); None where a label has no score of its own.
        answer_scores: The scores of the answers, likewise.
    """

    truths: NDArray[Any]
    answers: NDArray[Any]
    truth_scores: Scores | None = None
    answer_scores: Scores | None = None


class AnswerKind(ABC):
    """Measures and names the answers of one kind of labels.

    Args:
        recipe: The recipe of the run.
        splits: Its encoded data.

    Attributes:
        keeps_scores: Whether what is measured needs the scores of all examples.
        is_exact: Whether an answer is right or wrong. Otherwise it is more or less right.
        is_tuned: Whether answers depend on numbers that `tune` chooses before the result is measured.
        score_kind: What the scores of labels are.
    """

    keeps_scores = True
    is_exact = True
    is_tuned = False
    score_kind: ScoreKind = ""

    def __init__(self, recipe: Recipe, splits: EncodedSplits) -> None:
        self.head, self.splits = recipe.model.head, splits

    @abstractmethod
    def answer(self, targets: NDArray[Any], scores: Scores) -> Answers:
        """Make answers of the model's outputs.

        Args:
            targets: The labels (examples, ...), as `ftapp.data.dataset.Dataset.get_targets` gives them.
            scores: What the model puts out (examples, outputs).
        """

    @abstractmethod
    def name(self, label: Any) -> str:
        """Name a label or an answer, as an element of `Answers` has it."""

    def tune(self, targets: NDArray[Any], scores: Scores) -> None:
        """Choose numbers that answers depend on, where `is_tuned` says that there are some.

        Args:
            targets: The labels of all examples of a split that is not the test split.
            scores: What the model puts out for them.
        """
        raise NotImplementedError(f"{type(self).__name__} has nothing to choose")

    @abstractmethod
    def measure(self, targets: NDArray[Any], scores: Scores) -> dict[str, float]:
        """Measure what is no mean over batches.

        Args:
            targets: The labels of all examples.
            scores: What the model puts out for them.

        Returns:
            The metrics by name.
        """

    @abstractmethod
    def describe(self, targets: NDArray[Any], scores: Scores, *, step: int, split: str, final: bool) -> AnswerEvent:
        """Describe the answers in an event.

        Args:
            targets: The labels of all examples.
            scores: What the model puts out for them.
            step: The steps of the run before the evaluation.
            split: The split that was evaluated.
            final: Whether it is the result.
        """


class ClassAnswers(AnswerKind):
    """One class of all: that of the highest score, of equals the first one. Many classes are not counted in pairs."""

    def __init__(self, recipe: Recipe, splits: EncodedSplits) -> None:
        super().__init__(recipe, splits)
        self.keeps_scores = len(splits.classes) <= MOST_CLASSES
        self.score_kind = "distance" if self.head == "linear-svm" else "probability"

    def answer(self, targets: NDArray[Any], scores: Scores) -> Answers:
        """Answer with the class of the highest score."""
        rows, answers = np.arange(len(targets)), scores.argmax(axis=-1)
        return Answers(targets, answers, scores[rows, targets], scores[rows, answers])

    def name(self, label: Any) -> str:
        """Name a class."""
        return self.splits.classes[int(label)]

    def measure(self, targets: NDArray[Any], scores: Scores) -> dict[str, float]:
        """Measure the macro F1 and, where there are examples of two classes, the area under the ROC curve."""
        _, _, macro_f1 = score_classes(self._count(targets, scores)).mean()
        area = measure_auc(targets, scores)
        return {MACRO_F1.name: macro_f1} | ({} if area is None else {AUC.name: area})

    def describe(self, targets: NDArray[Any], scores: Scores, *, step: int, split: str, final: bool) -> Confused:
        """Describe which classes are taken for which, and whether the model is as often right as it is sure."""
        bins: list[list[float]] = []
        if self.score_kind == "probability":
            bins = bin_confidences(scores.max(axis=-1), scores.argmax(axis=-1) == targets).tolist()
        return Confused(
            time=time.time(),
            step=step,
            split=split,
            counts=self._count(targets, scores).tolist(),
            calibration=bins,
            final=final,
        )

    def _count(self, targets: NDArray[Any], scores: Scores) -> NDArray[np.int64]:
        return count_confusion(targets, scores.argmax(axis=-1), len(self.splits.classes))


class SetAnswers(AnswerKind):
    """Any number of classes: those whose scores reach a threshold.

    Attributes:
        thresholds: The score of each class from which on an example has it, float64 (classes,).
    """

    is_tuned = True

    def __init__(self, recipe: Recipe, splits: EncodedSplits) -> None:
        super().__init__(recipe, splits)
        self.thresholds = np.full(len(splits.classes), usual_threshold(self.head), np.float64)

    def tune(self, targets: NDArray[Any], scores: Scores) -> None:
        """Choose the thresholds from now on by their F1."""
        self.thresholds = choose_thresholds(targets, scores, usual_threshold(self.head))

    def answer(self, targets: NDArray[Any], scores: Scores) -> Answers:
        """Answer with the classes whose scores reach their thresholds."""
        return Answers(targets, scores >= self.thresholds)

    def name(self, label: Any) -> str:
        """Name the classes of a set."""
        return describe_set(label, self.splits.classes)

    def measure(self, targets: NDArray[Any], scores: Scores) -> dict[str, float]:
        """Measure micro and macro F1, and the mean average precision."""
        return _name_set_metrics(score_sets(targets, scores, self.thresholds))

    def describe(self, targets: NDArray[Any], scores: Scores, *, step: int, split: str, final: bool) -> SetsScored:
        """Describe how each class is found."""
        found = score_sets(targets, scores, self.thresholds)
        constant = score_sets(targets, np.ones(scores.shape), np.zeros(scores.shape[1]))
        return SetsScored(
            time=time.time(),
            step=step,
            split=split,
            thresholds=self.thresholds.tolist(),
            precision=found.precision.tolist(),
            recall=found.recall.tolist(),
            f1=found.f1.tolist(),
            average_precision=[None if np.isnan(each) else each for each in found.average_precision.tolist()],
            counts=found.examples.tolist(),
            constant=_name_set_metrics(constant),
            final=final,
        )


class NumberAnswers(AnswerKind):
    """A number, which is more or less right."""

    is_exact = False

    def answer(self, targets: NDArray[Any], scores: Scores) -> Answers:
        """Answer with the number that the model puts out."""
        return Answers(targets, scores[:, 0])

    def name(self, label: Any) -> str:
        """Write a number."""
        return f"{float(label):.6g}"

    def measure(self, targets: NDArray[Any], scores: Scores) -> dict[str, float]:
        """Measure errors, R² and the rank correlation."""
        return score_numbers(targets, scores[:, 0])

    def describe(self, targets: NDArray[Any], scores: Scores, *, step: int, split: str, final: bool) -> NumbersCompared:
        """Describe the answers to some examples, spread evenly, beside their numbers."""
        assert self.splits.scale is not None, "numbers have a scale"
        mean = self.splits.scale.mean
        chosen = np.linspace(0, len(targets) - 1, min(_MOST_PAIRS, len(targets))).astype(int)
        return NumbersCompared(
            time=time.time(),
            step=step,
            split=split,
            truth=targets[chosen].astype(float).tolist(),
            answers=scores[chosen, 0].astype(float).tolist(),
            constant=score_numbers(targets, np.full(len(targets), mean)),
            mean=mean,
            final=final,
        )


_KINDS: dict[str, type[AnswerKind]] = {"classes": ClassAnswers, "sets": SetAnswers, "numbers": NumberAnswers}


def make_answer_kind(recipe: Recipe, splits: EncodedSplits) -> AnswerKind | None:
    """Make what measures the answers of a recipe's task; None for tokens."""
    kind = _KINDS.get(TASKS[recipe.task].labels)
    return kind(recipe, splits) if kind else None


def _name_set_metrics(found: SetScores) -> dict[str, float]:
    return {
        MICRO_F1.name: found.micro_f1,
        MACRO_F1.name: found.macro_f1,
        MEAN_AVERAGE_PRECISION.name: found.mean_average_precision,
    }


def join_answers(parts: Sequence[Answers]) -> Answers | None:
    """Join the answers to several batches; None where there are none."""
    if not parts:
        return None
    columns = [None if column[0] is None else np.concatenate(column) for column in zip(*parts, strict=True)]
    return Answers(*columns)  # type: ignore[arg-type]
