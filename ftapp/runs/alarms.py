"""What is going wrong with a run while it trains: a loss that rises, one answer to everything, overfitting.

A pure fold of a `History`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from ftapp.common.formatting import format_quantity
from ftapp.recipe.cautions import Caution
from ftapp.recipe.metrics import Metric, get_metric
from ftapp.runs.class_results import fits_classes
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated

# Losses of steps that are compared with as many at the start. Where both come from one distribution, each of the last
# eight is above each of the first eight in 1 of 12,870 cases (a rank test: Mann and Whitney 1947), whatever that
# distribution is: single bad batches raise no alarm, however bad they are.
_WINDOW = 8
_SETTLED = 24  # steps before which nothing is said of the course of the loss
_ABOVE = 1.1  # times the median at the start, so that no loss that merely stays is meant
_EXPLODED = 10.0  # times the median at the start
_STAYS = 3  # evaluations in a row of a held-out loss that has risen
_OVERFITTED, _DOUBLED, _LEAST_RISE = 1.1, 2.0, 0.05  # times the lowest held-out loss of the phase, and so much more
_BAD_BATCH = 10  # examples of an evaluation from which on one predicted class is no accident


def find_alarms(history: History) -> list[Caution]:
    """What is going wrong with a run that goes on, with the key of the Run screen that helps, the worst first."""
    if history.ended is not None:
        return []
    return [*find_divergence(history), *_find_single_answer(history), *find_overfitting(history, alarm=True)]


def find_divergence(history: History) -> Iterator[Caution]:
    """Find a training loss that is not finite, has exploded, or is above that at the start."""
    losses = history.steps.loss
    if losses and not math.isfinite(losses[-1]):
        yield Caution("loss-not-finite", f"the training loss is {losses[-1]}", "press x to stop, and lower the rate")
        return
    if len(losses) < _SETTLED:
        return
    first, last = losses[:_WINDOW], losses[-_WINDOW:]
    start, now = statistics.median(first), statistics.median(last)
    if min(last) <= max(first) or now <= _ABOVE * start:
        return
    exploded = now > _EXPLODED * max(start, 1e-3)
    what = "has exploded: it is" if exploded else "is above that at the start: it is"
    yield Caution(
        "loss-exploded" if exploded else "loss-rising",
        f"the training loss {what} {now:.3g}, and was {start:.3g}",
        f"press e for a smaller learning rate (now {history.steps.rate[-1]:.2g}), or x to stop",
    )


def _find_single_answer(history: History) -> Iterator[Caution]:
    last, data = (history.confusions[-1] if history.confusions else None), history.data
    if last is None or data is None or not last.step or not fits_classes(last, history):
        return
    predicted = [name for index, name in enumerate(data.classes) if any(row[index] for row in last.counts)]
    present = sum(any(row) for row in last.counts)
    if len(predicted) == 1 and present > 1 and sum(map(sum, last.counts)) >= _BAD_BATCH:
        yield Caution(
            "one-class",
            f"at step {last.step} the model answered '{predicted[0]}' to every {last.split} example",
            "press e to change the learning rate, or x to stop, if the next evaluation says so again",
        )


def find_overfitting(history: History, *, alarm: bool) -> Iterator[Caution]:
    """Find a held-out loss that has risen and stays there, while the training loss falls.

    It is of the latest phase alone, since the first steps of a phase may raise the loss for a while. Where a metric has
    not grown worse with it, the loss has to have doubled.
    """
    first, last = find_same_examples(history)
    if first is None or last is None or history.kept or not has_training_fallen(history):
        return
    began = history.phases[-1].first_step if history.phases else 1
    of = (first.split, first.examples)
    course = [each for each in history.evaluations if (each.split, each.examples) == of and not each.final]
    course = [each for each in course if each.step >= began and is_sound(each)]
    if len(course) <= _STAYS:
        return
    lowest = min(course, key=lambda each: each.loss)
    kept = any(
        not each.is_better(before, now) or (each.is_proportion and abs(before - now) <= _error(before, lowest))
        for each, before, now in pair_metrics(lowest, last)
    )
    bound = lowest.loss * (_DOUBLED if kept else _OVERFITTED) + _LEAST_RISE
    if all(each.loss > bound and each.step > lowest.step for each in course[-_STAYS:]):
        yield Caution(
            "overfitting",
            f"the {last.split} loss was lowest at step {lowest.step} ({lowest.loss:.4g}) and is {last.loss:.4g}, while "
            "the training loss falls: the model memorizes its training examples",
            "press x to stop and keep the model"
            if alarm
            else f"train for some {format_quantity(lowest.step, 'step')}, end with the best weights "
            "(keep.best = 'loss'), or try dropout",
        )


def find_same_examples(history: History) -> tuple[Evaluated | None, Evaluated | None]:
    """The evaluation before training, and the last one of the same examples with the weights that the run ended with.

    None where there is none. While the run goes on, the last one is the latest.
    """
    first = next((each for each in history.evaluations if each.step == 0 and math.isfinite(each.loss)), None)
    if first is None:
        return None, None
    of = (first.split, first.examples)
    end = history.kept.best_step if history.kept else math.inf
    since = (each for each in reversed(history.evaluations) if 0 < each.step <= end)
    later = (each for each in since if (each.split, each.examples) == of)
    return first, next(later, None)


def has_training_fallen(history: History) -> bool:
    """Tell whether the training loss is below that at the start."""
    losses = history.steps.loss
    return len(losses) >= 2 * _WINDOW and statistics.median(losses[-_WINDOW:]) < statistics.median(losses[:_WINDOW])


def pair_metrics(first: Evaluated, last: Evaluated) -> list[tuple[Metric, float, float]]:
    """The metrics of two evaluations with their values in the first and in the last."""
    return [
        (get_metric(name), value, last.metrics[name]) for name, value in first.metrics.items() if name in last.metrics
    ]


def is_sound(evaluation: Evaluated) -> bool:
    """Whether an evaluation is of examples, and its proportions are between 0 and 1."""
    proportions = [value for name, value in evaluation.metrics.items() if get_metric(name).is_proportion]
    return evaluation.examples > 0 and all(0 <= value <= 1 for value in proportions)


def _error(share: float, evaluation: Evaluated) -> float:
    """The standard error of a proportion of the examples of an evaluation."""
    return math.sqrt(share * (1 - share) / max(1, evaluation.examples))
