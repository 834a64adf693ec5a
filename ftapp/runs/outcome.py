"""How a run turned out: what is wrong with its numbers.

A pure fold of a `History`. `find_alarms` is for a run that goes on, `find_warnings` for one that has ended.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ftapp.recipe import cautions
from ftapp.recipe.cautions import Caution
from ftapp.recipe.metrics import ACCURACY, MEAN_AVERAGE_PRECISION, ROOT_MEAN_SQUARED_ERROR, Metric, get_metric
from ftapp.runs.baselines import find_baseline
from ftapp.runs.class_results import Recall, count_recalls, final_confusion, find_constant_answer, fits_classes
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated

if TYPE_CHECKING:
    from ftapp.recipe import Recipe
    from ftapp.runs.run_folder import RunFolder

WINDOW = 8
"""Losses of steps that are compared with as many at the start. Where both come from one distribution, each of the last
eight is above each of the first eight in 1 of 12,870 cases (a rank test: Mann and Whitney 1947), whatever that
distribution is: single bad batches raise no alarm, however bad they are."""
_SETTLED = 24  # steps before which nothing is said of the course of the loss
_ABOVE = 1.1  # times the median at the start, so that a loss that merely stays is not meant
_EXPLODED = 10.0  # times the median at the start
_RISEN = 1.01  # times a held-out loss on the same examples with the same weights, which rounding alone does not reach
_STAYS = 3  # evaluations in a row of a held-out loss that has risen
_OVERFITTED, _DOUBLED, _LEAST_RISE = 1.1, 2.0, 0.05  # times the lowest held-out loss of the phase, and so much more
_SIGMA = 3.5  # standard errors: 1 of 2,000 runs would be called unlike its validation by chance
_FEW = 5  # test examples of a class from which on it is said that none was found
_BAD_BATCH = 10  # examples of an evaluation from which on one predicted class is no accident
_NOT_MEASURED = {
    "interrupted": "since the run was interrupted",
    "unfinished": "since the run is unfinished",
    "pruned": "since a sweep ended the run early",
}
_BALANCED = "equal shares of the classes (balance.sampling = balanced)"


def build_outcome(run: RunFolder, name: str, history: History, recipe: Recipe) -> dict[str, Any]:
    """Build the result of a run as JSON has it.

    Args:
        run: The run.
        name: The name of its recipe.
        history: What its events tell.
        recipe: Its recipe.
    """
    return {
        "recipe": name,
        "run": str(run.folder),
        "status": run.status(history),
        **history.summary(),
        **summarize_outcome(history, recipe),
        "model": str(run.model_folder) if run.model_folder.is_dir() else None,
    }


def summarize_outcome(history: History, recipe: Recipe | None = None) -> dict[str, Any]:
    """The keys that this module adds to the result of a run as JSON has it."""
    best, found, baseline = find_constant_answer(history), count_recalls(history), find_baseline(history)
    return {
        "constant": {"class": best.name, **best.metrics} if best else None,
        "baseline": {"answer": baseline.answer, "metrics": baseline.metrics} if baseline else None,
        "recall": {each.name: {"found": each.found, "examples": each.examples} for each in found},
        "warnings": [each.to_table() for each in find_warnings(history, recipe)],
    }


def find_warnings(history: History, recipe: Recipe | None = None) -> list[Caution]:
    """What is wrong with the result of a run that came to its end, the worst first.

    recipe: the run's, whose cautions are told too, but for those about too short a training where nothing is wrong that
    it may explain. Nothing of a run that failed, which says why itself.
    """
    ended = history.ended
    if ended is None or ended.status not in ("done", *_NOT_MEASURED):
        return []
    result, data = history.result, history.data
    sizes = {name: getattr(data, name) for name in ("train", "validation", "test")} if data else None
    found: list[Caution] = []
    if not len(history.steps):
        found.append(Caution("no-steps", "the run made no step, so that nothing was learned", "let it train"))
    if result is None:
        why = _NOT_MEASURED.get(ended.status, "so that it has no result")
        advice = "`ftapp resume` goes on with it" if ended.status == "unfinished" else "run it to its end"
        found.append(Caution("not-evaluated", f"the test split was not measured, {why}", advice))
    else:
        found += _check_loss(history, result)
        found += _check_accuracy(history, result)
        found += _check_other_answers(history, result)
        found += _check_validation(history, result)
    found += _check_training(history)
    found += _find_random_head(history)
    found += _check_kept(history)
    known = {each.id for each in found}
    told = cautions.find_cautions(recipe, sizes) if recipe else []
    excluded = known if found else cautions.OF_LENGTH
    return [*found, *(each for each in told if each.id not in excluded)]


def is_doubtful(history: History) -> bool:
    """Whether a list of runs marks this one: it says that it is done, and its result has warnings."""
    return history.ended is not None and history.ended.status == "done" and bool(find_warnings(history))


def find_alarms(history: History) -> list[Caution]:
    """What is going wrong with a run that goes on, with the key of the Run screen that helps, the worst first."""
    if history.ended is not None:
        return []
    return [*_find_divergence(history), *_find_single_answer(history), *_find_overfitting(history, alarm=True)]


def _is_sound(evaluation: Evaluated) -> bool:
    """Whether an evaluation is of examples, and its proportions are between 0 and 1."""
    proportions = [value for name, value in evaluation.metrics.items() if get_metric(name).is_proportion]
    return evaluation.examples > 0 and all(0 <= value <= 1 for value in proportions)


def _both(first: Evaluated, last: Evaluated) -> list[tuple[Metric, float, float]]:
    """The metrics of two evaluations with their values in the first and in the last."""
    return [
        (get_metric(name), value, last.metrics[name]) for name, value in first.metrics.items() if name in last.metrics
    ]


def _smaller_rate(history: History) -> str:
    rate = max(history.steps.rate, default=0.0)
    return f"a smaller learning rate, for example a tenth of the {rate:.2g} it had, or clip_norm = 1.0" if rate else ""


def _check_loss(history: History, result: Evaluated) -> Iterator[Caution]:
    if not math.isfinite(result.loss):
        yield Caution("loss-not-finite", f"the test loss is {result.loss}", f"try {_smaller_rate(history)}")
        return
    first, last = _same_examples(history)
    if first and last and last.loss > _RISEN * first.loss:
        gains = [
            f"the {each.label} {'fell' if each.is_lower_better else 'rose'} "
            f"from {each.format_plain(old)} to {each.format_plain(new)}"
            for each, old, new in _both(first, last)
            if each.is_better(new, old)
        ]
        because = ": some errors have grown much" if history.comparisons else ": the model is too sure of its mistakes"
        better = f", although {gains[0]}{because}" if gains else ""
        yield Caution(
            "loss-above-start",
            f"the {last.split} loss is {last.loss:.4g}, above the {first.loss:.4g} before training{better}",
            "try fewer steps, dropout, or more data" if _training_fell(history) else f"try {_smaller_rate(history)}",
        )
    choices, what = _choices(history)
    if choices > 1 and result.loss > math.log(choices):
        yield Caution(
            "loss-above-uniform",
            f"the test loss is {result.loss:.4g}, above the {math.log(choices):.4g} of a model that gives all "
            f"{choices:,} {what} the same probability",
            "do not trust its probabilities; "
            + ("try fewer steps or dropout" if _training_fell(history) else f"try {_smaller_rate(history)}"),
        )


def _choices(history: History) -> tuple[int, str]:
    """Among how many things the model chooses by a probability; 0 where its scores are none or it is not known."""
    final = final_confusion(history)
    if final is not None and history.data is not None:
        return (len(history.data.classes), "classes") if final.calibration else (0, "")
    if history.set_scores or history.comparisons:
        return 0, ""
    return (history.model.vocabulary if history.model else 0), "tokens"


def _same_examples(history: History) -> tuple[Evaluated | None, Evaluated | None]:
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


def _training_fell(history: History) -> bool:
    losses = history.steps.loss
    return len(losses) >= 2 * WINDOW and statistics.median(losses[-WINDOW:]) < statistics.median(losses[:WINDOW])


def _check_accuracy(history: History, result: Evaluated) -> Iterator[Caution]:
    final, best, found = final_confusion(history), find_constant_answer(history), count_recalls(history)
    accuracy = result.value(ACCURACY.name)
    if accuracy is None:
        return
    if not _is_sound(result):
        yield Caution("no-accuracy", f"the test accuracy is {accuracy}, not a number from 0 to 1", "see the run's log")
        return
    present = [each for each in found if each.examples]
    predicted = [index for index in range(len(found)) if final and any(row[index] for row in final.counts)]
    if len(present) > 1 and len(predicted) == 1:
        name = found[predicted[0]].name
        yield Caution(
            "one-class",
            f"the model answers '{name}' to every test example, and its accuracy of {accuracy:.4f} is that "
            "class's share",
            f"it has learned nothing of the examples; try another learning rate, more steps, or {_BALANCED}",
        )
        return
    if best and len(present) > 1 and round(accuracy * result.examples) <= round(best.accuracy * result.examples):
        yield Caution(
            "no-better-than-constant",
            f"the test accuracy is {accuracy:.4f}, no more than the {best.accuracy:.4f} of always answering "
            f"'{best.name}'",
            f"judge it by the recall of each class; try more steps, another learning rate, or {_BALANCED}",
        )
    elif len(present) > 1 and (chance := _no_better_than_chance(present)):
        yield Caution(
            "no-better-than-chance",
            f"the mean recall of the classes is {chance:.4f}, not clearly above the {1 / len(present):.4f} of chance",
            "try more steps, another learning rate, or more of the layers trained",
        )
    lost = [each for each in present if each.found == 0 and each.examples >= _FEW]
    if lost and len(present) > 1:
        names = ", ".join(f"'{each.name}' (0 of {each.examples:,})" for each in lost[:3])
        more = f" and of {len(lost) - 3} more classes" if len(lost) > 3 else ""
        yield Caution(
            "class-not-found",
            f"the model recognised no test example of {names}{more}",
            "the model does not know these classes; give it more examples of them, or more steps",
        )


def _check_other_answers(history: History, result: Evaluated) -> Iterator[Caution]:
    """Several labels or numbers that are answered no better than by a constant answer."""
    baseline = find_baseline(history)
    if baseline is None or ACCURACY.name in result.metrics:
        return
    for metric in (MEAN_AVERAGE_PRECISION, ROOT_MEAN_SQUARED_ERROR):
        value, constant = result.value(metric.name), baseline.metrics.get(metric.name)
        if value is not None and constant is not None and not metric.is_better(value, constant):
            yield Caution(
                "no-better-than-constant",
                f"the test {metric.label} is {metric.format_plain(value)}, no better than the "
                f"{metric.format_plain(constant)} of {baseline.answer}",
                "try more steps, another learning rate, or more of the layers trained",
            )


def _no_better_than_chance(present: Sequence[Recall]) -> float | None:
    """The mean recall where it is at most two standard errors above that of chance; None where it is more."""
    shares = [each.found / each.examples for each in present]
    mean = sum(shares) / len(shares)
    variances = (share * (1 - share) / each.examples for share, each in zip(shares, present, strict=True))
    error = math.sqrt(sum(variances)) / len(shares)
    return mean if mean <= 1 / len(present) + 2 * error else None


def _check_validation(history: History, result: Evaluated) -> Iterator[Caution]:
    """A result that is far below what the run was watched on."""
    watched = [each for each in history.evaluations if not each.final and each.split == "validation"]
    last = next((each for each in reversed(watched) if each.step == result.step), None)
    if last is None or result.split != "test":
        return
    if not (_is_sound(last) and _is_sound(result)):
        return
    for each, watched_value, value in _both(last, result):
        if not each.is_proportion:
            continue
        share = (watched_value * last.examples + value * result.examples) / (last.examples + result.examples)
        error = math.sqrt(share * (1 - share) * (1 / last.examples + 1 / result.examples))
        if error and each.is_better(watched_value, value) and abs(watched_value - value) > _SIGMA * error:
            yield Caution(
                "test-below-validation",
                f"the test {each.label} is {value:.4f} and that of validation {watched_value:.4f}, further apart "
                "than chance puts them",
                "the two splits are of different kinds; look at how the data were split",
            )


def _check_training(history: History) -> Iterator[Caution]:
    for each in _find_divergence(history):
        advice = f"try {_smaller_rate(history)}"
        yield Caution(each.id.replace("loss", "training-loss", 1), each.says, advice)
    yield from _find_overfitting(history, alarm=False)


def _find_divergence(history: History) -> Iterator[Caution]:
    losses = history.steps.loss
    if losses and not math.isfinite(losses[-1]):
        yield Caution("loss-not-finite", f"the training loss is {losses[-1]}", "press x to stop, and lower the rate")
        return
    if len(losses) < _SETTLED:
        return
    first, last = losses[:WINDOW], losses[-WINDOW:]
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


def _find_overfitting(history: History, *, alarm: bool) -> Iterator[Caution]:
    """A held-out loss that has risen and stays there, while the training loss falls.

    It is of the latest phase alone, since the first steps of a phase may raise the loss for a while. Where a metric has
    not grown worse with it, the loss has to have doubled.
    """
    first, last = _same_examples(history)
    if first is None or last is None or history.kept or not _training_fell(history):
        return
    began = history.phases[-1].first_step if history.phases else 1
    of = (first.split, first.examples)
    course = [each for each in history.evaluations if (each.split, each.examples) == of and not each.final]
    course = [each for each in course if each.step >= began and _is_sound(each)]
    if len(course) <= _STAYS:
        return
    lowest = min(course, key=lambda each: each.loss)
    kept = any(
        not each.is_better(before, now) or (each.is_proportion and abs(before - now) <= _error(before, lowest))
        for each, before, now in _both(lowest, last)
    )
    bound = lowest.loss * (_DOUBLED if kept else _OVERFITTED) + _LEAST_RISE
    if all(each.loss > bound and each.step > lowest.step for each in course[-_STAYS:]):
        yield Caution(
            "overfitting",
            f"the {last.split} loss was lowest at step {lowest.step} ({lowest.loss:.4g}) and is {last.loss:.4g}, while "
            "the training loss falls: the model memorizes its training examples",
            "press x to stop and keep the model"
            if alarm
            else f"train for some {lowest.step} steps, end with the best weights (keep.best = 'loss'), or try dropout",
        )


def _error(share: float, evaluation: Evaluated) -> float:
    """The standard error of a proportion of the examples of an evaluation."""
    return math.sqrt(share * (1 - share) / max(1, evaluation.examples))


def _check_kept(history: History) -> Iterator[Caution]:
    kept = history.kept
    if kept and kept.best_step == 0 and len(history.steps):
        label = get_metric(kept.metric).label
        yield Caution(
            "never-better",
            f"no evaluation had a better {label} than that before training, {kept.value:.4g}, so that the model has "
            "its first weights",
            f"try {_smaller_rate(history)}, more steps, or another metric in keep.best",
        )


def _find_random_head(history: History) -> Iterator[Caution]:
    data = history.data
    if not history.phases or data is None or not data.classes or not len(history.steps):
        return
    trained = {path for phase in history.phases for path in phase.trainable_layers}
    trained |= {path for drift in history.drifts for path, value in drift.since_start.items() if value}
    if not any(path.rpartition("/")[2] == "classifier" for path in trained):
        yield Caution(
            "head-frozen",
            "the classifier has its random first weights, since no phase trained it",
            "add 'train head' to the layers of a phase",
        )
