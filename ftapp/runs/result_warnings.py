"""What is wrong with the result of a run that has ended. A pure fold of a `History`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ftapp.recipe import cautions
from ftapp.recipe.cautions import Caution
from ftapp.recipe.metrics import ACCURACY, MEAN_AVERAGE_PRECISION, ROOT_MEAN_SQUARED_ERROR, get_metric
from ftapp.runs.alarms import (
    find_divergence,
    find_overfitting,
    find_same_examples,
    has_training_fallen,
    is_sound,
    pair_metrics,
)
from ftapp.runs.baselines import find_baseline
from ftapp.runs.class_results import Recall, count_recalls, final_confusion, find_constant_answer
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated

if TYPE_CHECKING:
    from ftapp.recipe import Recipe

_RISEN = 1.01  # times a held-out loss on the same examples with the same weights, which rounding alone does not reach
_SIGMA = 3.5  # standard errors: 1 of 2,000 runs would be called unlike its validation by chance
_FEW = 5  # test examples of a class from which on it is said that none was found
_NOT_MEASURED = {
    "interrupted": "since the run was interrupted",
    "unfinished": "since the run is unfinished",
    "pruned": "since a sweep ended the run early",
}
_BALANCED = "equal shares of the classes (balance.sampling = balanced)"


def find_warnings(history: History, recipe: Recipe | None = None) -> list[Caution]:
    """Find what is wrong with the result of a run that came to its end, the worst first.

    Args:
        history: The run.
        recipe: Its recipe, whose cautions are told too; those about too short a training only where something is wrong
            that it may explain.

    Returns:
        The warnings; none of a run that failed, which says why itself.
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
    of_recipe = cautions.find_cautions(recipe, sizes) if recipe else []
    excluded = known if found else cautions.OF_LENGTH
    return [*found, *(each for each in of_recipe if each.id not in excluded)]


def is_doubtful(history: History) -> bool:
    """Whether a list of runs marks this one: it says that it is done, and its result has warnings."""
    return history.ended is not None and history.ended.status == "done" and bool(find_warnings(history))


def _smaller_rate(history: History) -> str:
    rate = max(history.steps.rate, default=0.0)
    return f"a smaller learning rate, for example a tenth of the {rate:.2g} it had, or clip_norm = 1.0" if rate else ""


def _check_loss(history: History, result: Evaluated) -> Iterator[Caution]:
    if not math.isfinite(result.loss):
        yield Caution("loss-not-finite", f"the test loss is {result.loss}", f"try {_smaller_rate(history)}")
        return
    first, last = find_same_examples(history)
    if first and last and last.loss > _RISEN * first.loss:
        gains = [
            f"the {each.label} {'fell' if each.is_lower_better else 'rose'} "
            f"from {each.format_plain(old)} to {each.format_plain(new)}"
            for each, old, new in pair_metrics(first, last)
            if each.is_better(new, old)
        ]
        because = ": some errors have grown much" if history.comparisons else ": the model is too sure of its mistakes"
        better = f", although {gains[0]}{because}" if gains else ""
        yield Caution(
            "loss-above-start",
            f"the {last.split} loss is {last.loss:.4g}, above the {first.loss:.4g} before training{better}",
            "try fewer steps, dropout, or more data"
            if has_training_fallen(history)
            else f"try {_smaller_rate(history)}",
        )
    choices, what = _choices(history)
    if choices > 1 and result.loss > math.log(choices):
        yield Caution(
            "loss-above-uniform",
            f"the test loss is {result.loss:.4g}, above the {math.log(choices):.4g} of a model that gives all "
            f"{choices:,} {what} the same probability",
            "do not trust its probabilities; "
            + ("try fewer steps or dropout" if has_training_fallen(history) else f"try {_smaller_rate(history)}"),
        )


def _choices(history: History) -> tuple[int, str]:
    """Among how many things the model chooses by a probability; 0 where its scores are none or it is not known."""
    final = final_confusion(history)
    if final is not None and history.data is not None:
        return (len(history.data.classes), "classes") if final.calibration else (0, "")
    if history.set_scores or history.comparisons:
        return 0, ""
    return (history.model.vocabulary if history.model else 0), "tokens"


def _check_accuracy(history: History, result: Evaluated) -> Iterator[Caution]:
    final, best, found = final_confusion(history), find_constant_answer(history), count_recalls(history)
    accuracy = result.value(ACCURACY.name)
    if accuracy is None:
        return
    if not is_sound(result):
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
        more = f" and of {len(lost) - 3} more" if len(lost) > 3 else ""
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
    if not (is_sound(last) and is_sound(result)):
        return
    for each, watched_value, value in pair_metrics(last, result):
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
    for each in find_divergence(history):
        advice = f"try {_smaller_rate(history)}"
        yield Caution(each.id.replace("loss", "training-loss", 1), each.says, advice)
    yield from find_overfitting(history, alarm=False)


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
