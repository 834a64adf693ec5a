"""What the folds of an arm give together: the mean of each metric over the folds, and one result of all examples.

Each fold tests on its own part of the examples. The mean has an interval (`ftapp.analysis.statistics.estimate_mean`).
The answers to all parts together are those of the whole data set by models that did not train on them. Metrics that
rank scores, such as the area under the ROC curve, are not taken of them: the scores of models of different folds are
not on one scale (Forman & Scholz 2010, "Apples-to-Apples in Cross-Validation Studies").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.analysis import statistics
from ftapp.analysis.metrics.confusion import count_confusion
from ftapp.analysis.metrics.numbers import score_numbers
from ftapp.analysis.metrics.scores import score_classes
from ftapp.analysis.records import Arm, Record
from ftapp.analysis.statistics import Interval
from ftapp.common.formatting import format_quantity, join_labels
from ftapp.recipe.metrics import ACCURACY, LOSS, MACRO_F1, MICRO_F1, get_metric, sort_names
from ftapp.recipe.tasks import TASKS
from ftapp.runs.example_results import ExampleResult, read_example_results

HEADER = ("test", "mean ± deviation", "95% interval of the mean", "all examples together")

METHOD = (
    "Folds share most of their training examples, so their results scatter too little. Intervals over folds are "
    "Student's t with the correction of Nadeau and Bengio (2003). They are approximate: no estimate of this variance "
    "from one cross-validation is unbiased (Bengio and Grandvalet 2004)."
)


@dataclass(frozen=True)
class MetricOverFolds:
    """A metric of the test splits over the folds of an arm.

    Attributes:
        name: The name of the metric.
        mean: Its mean, with an interval.
        deviation: Its standard deviation over the folds.
        pooled: Its value over the answers to all examples together; None where it is none of answers, or a fold has no
            result.
    """

    name: str
    mean: Interval
    deviation: float
    pooled: float | None

    def row(self) -> list[str]:
        """The cells under `HEADER`."""
        measured = get_metric(self.name)
        mean, deviation, low, high = map(
            measured.format_text, (self.mean.estimate, self.deviation, self.mean.low, self.mean.high)
        )
        pooled = "" if self.pooled is None else measured.format_text(self.pooled)
        return [measured.label, f"{mean} ± {deviation}", f"{low} to {high}", pooled]


@dataclass(frozen=True)
class FoldResult:
    """The result of an arm over its folds.

    Attributes:
        arm: The name of the arm.
        ended: How many of its runs have a result.
        planned: How many runs it has.
        examples: How many examples all test splits have together.
        metrics: Each metric that all of these runs have measured.
        problem: Why the folds are not parts of one data set; empty where they are.
    """

    arm: str
    ended: int
    planned: int
    examples: int
    metrics: tuple[MetricOverFolds, ...]
    problem: str = ""

    @property
    def title(self) -> str:
        """The arm and its folds, in words."""
        of = f"{self.ended}" if self.ended == self.planned else f"{self.ended} of {self.planned}"
        return f"{self.arm} over {of} folds, {format_quantity(self.examples, 'test example')}"

    def rows(self) -> list[list[str]]:
        """The metrics as rows of `HEADER`."""
        return [each.row() for each in self.metrics]

    def table(self) -> dict[str, Any]:
        """As JSON has it."""
        metrics = {
            each.name: {"mean": statistics.build_table(each.mean), "deviation": each.deviation, "pooled": each.pooled}
            for each in self.metrics
        }
        about = {"arm": self.arm, "title": self.title, "ended": self.ended, "planned": self.planned}
        return {
            **about,
            "examples": self.examples,
            "problem": self.problem,
            "metrics": metrics,
            "header": HEADER,
            "rows": self.rows(),
            "method": METHOD,
        }


def summarize_folds(arm: Arm) -> FoldResult | None:
    """Sum up an arm over its folds.

    Args:
        arm: The arm, whose records are runs of different folds.

    Returns:
        The result; None where it has no folds, or fewer than two of them have a result.
    """
    if not arm.folds:
        return None
    done = [each for each in arm.records if each.history.result]
    if len(done) < 2:
        return None
    results = [result for each in done if (result := each.history.result)]
    problem = _explain_other_data(done)
    pooled = pool_answers(done) if len(done) == len(arm.records) and not problem else {}
    found = []
    for name in sort_names(name for each in results for name in each.values):
        values = [value for each in results if (value := each.value(name)) is not None]
        if len(values) == len(results):
            mean, measured = statistics.estimate_mean(values, arm.overlap), get_metric(name)
            mean = replace(mean, low=measured.clip(mean.low), high=measured.clip(mean.high))
            found.append(MetricOverFolds(name, mean, float(np.std(values, ddof=1)), pooled.get(name)))
    planned = max(len(arm.records), arm.folds)
    return FoldResult(arm.name, len(done), planned, sum(each.examples for each in results), tuple(found), problem)


def _explain_other_data(records: Sequence[Record]) -> str:
    """Explain that the data of some folds have other examples than those of the first; "" where none have.

    The sequences of language models are not counted: how many a text gives depends on the fold that it is in.
    """
    task = TASKS.get(str(records[0].settings.get("task")))
    if task is None or task.writes:
        return ""
    sizes = [data.train + data.validation + data.test if (data := each.history.data) else None for each in records]
    for each, size in zip(records, sizes, strict=True):
        if size is not None and sizes[0] is not None and size != sizes[0]:
            said = f"{format_quantity(sizes[0], 'example')} in {records[0].round}, and {size:,} in {each.round}"
            return f"The data have changed between the folds: {said}. So some examples were tested twice or never."
    return ""


def summarize_all(arms: Sequence[Arm]) -> list[FoldResult]:
    """Sum up each arm that has folds."""
    return [found for arm in arms if (found := summarize_folds(arm))]


def pool_answers(records: Sequence[Record]) -> dict[str, float]:
    """Measure the answers to the test examples of several runs as one.

    Args:
        records: The runs.

    Returns:
        The metrics by name; empty where a run has not kept the answers to all of its test examples, and for language
        models.
    """
    task = TASKS.get(str(records[0].settings.get("task")))
    measure = _MEASURES.get(task.labels) if task else None
    found: list[ExampleResult] = []
    for each in records:
        kept = read_example_results(each.run, each.history.result)
        if kept is None or len(kept.found) != kept.examples:
            return {}
        found += kept.found
    data = records[0].history.data
    if measure is None or data is None or not found:
        return {}
    try:
        metrics = measure(found, data.classes)
    except (ValueError, KeyError):  # of a damaged file
        return {}
    return {LOSS.name: float(np.mean([each.loss for each in found])), **metrics}


def _measure_classes(found: Sequence[ExampleResult], classes: Sequence[str]) -> dict[str, float]:
    number = {name: at for at, name in enumerate(classes)}
    truth, answers = (
        np.array([number[name] for name in names])
        for names in ([each.truth for each in found], [each.answer for each in found])
    )
    counts = count_confusion(truth, answers, len(classes))
    return {ACCURACY.name: float(np.trace(counts) / counts.sum()), MACRO_F1.name: score_classes(counts).mean()[2]}


def _measure_sets(found: Sequence[ExampleResult], classes: Sequence[str]) -> dict[str, float]:
    read = make_set_reader(classes)
    truth, answers = (
        np.array([read(text) for text in texts])
        for texts in ([each.truth for each in found], [each.answer for each in found])
    )
    right, said, there = (truth & answers).sum(axis=0), answers.sum(axis=0), truth.sum(axis=0)
    f1 = 2 * right / np.maximum(1, said + there)
    known = there > 0
    return {
        MICRO_F1.name: float(2 * right.sum() / max(1, (said + there).sum())),
        MACRO_F1.name: float(f1[known].mean()) if known.any() else 0.0,
    }


def make_set_reader(classes: Sequence[str]) -> Callable[[str], NDArray[np.bool_]]:
    """Make a reader of labels that `join_labels` wrote.

    Args:
        classes: The names of the classes.

    Returns:
        A function from a text to whether the example has each class, bool (classes,).
    """
    number = {join_labels([name]): at for at, name in enumerate(classes)}
    longest_first = sorted(number, key=len, reverse=True)
    label = re.compile(f"(?:^|, )({'|'.join(map(re.escape, longest_first))})(?=, |$)")

    def read(text: str) -> NDArray[np.bool_]:
        has_class = np.zeros(len(classes), np.bool_)
        has_class[[number[name] for name in label.findall(text)]] = True
        return has_class

    return read


def _measure_numbers(found: Sequence[ExampleResult], classes: Sequence[str]) -> dict[str, float]:
    truth, answers = (
        np.array(texts, np.float64) for texts in ([each.truth for each in found], [each.answer for each in found])
    )
    return score_numbers(truth, answers)


_MEASURES: dict[str, Callable[[Sequence[ExampleResult], Sequence[str]], dict[str, float]]] = {
    "classes": _measure_classes,
    "sets": _measure_sets,
    "numbers": _measure_numbers,
}
