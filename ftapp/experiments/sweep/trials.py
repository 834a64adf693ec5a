"""The trials of a sweep as their folders tell them: their values, results and costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftapp.experiments.arms import Round
from ftapp.experiments.experiment_folder import Experiment, Member
from ftapp.recipe.metrics import Metric
from ftapp.recipe.toml_text import format_override
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated
from ftapp.runs.run_folder import RunFolder

SEARCH = Round(1)
"""The round of a sweep's search. Its seed is the recipe's own."""
OWN = "recipe"
"""The arm with the recipe's own values, which is tried first."""


@dataclass(frozen=True)
class SweepTrial:
    """A run of the search.

    Attributes:
        arm: The name of its arm.
        values: The values that it tries, by key.
        run: The run.
        status: The status of the run.
        value: The metric on the validation split; None where the run did not come to its end.
        seconds: The time of features, steps and evaluations, as if no features had been cached; None before its end.
        flops: The operations of its steps; None where they are not known.
        why: Why it was pruned, or has failed; "" otherwise.
    """

    arm: str
    values: Mapping[str, Any]
    run: RunFolder
    status: str
    value: float | None = None
    seconds: float | None = None
    flops: float | None = None
    why: str = ""

    @property
    def changes(self) -> list[str]:
        """The values as `--set` takes them; none of the recipe's own."""
        return [] if self.arm == OWN else [format_override(key, value) for key, value in self.values.items()]


def measure_validation(history: History, metric: str) -> float | None:
    """Return the metric on the validation split, of the weights with which a run ends or of its last evaluation.

    Args:
        history: The run.
        metric: The name of the metric.

    Returns:
        The value; None where the split was not measured after a step.
    """
    found = [each for each in history.evaluations if _is_of_validation(each) and each.value(metric) is not None]
    after_steps = [each for each in found if is_of_search(each)]
    if not after_steps:
        return None
    kept = history.kept  # which may be the weights before the first step
    of_kept = [each for each in found if kept is not None and each.step == kept.best_step]
    value = (of_kept or after_steps)[-1].value(metric)
    return value if value is not None and math.isfinite(value) else None


def is_of_search(evaluation: Evaluated) -> bool:
    """Tell whether an evaluation is of the validation split, after a step."""
    return _is_of_validation(evaluation) and evaluation.step > 0


def _is_of_validation(evaluation: Evaluated) -> bool:
    return evaluation.split == "validation" and not evaluation.final


def read_trial(member: Member, metric: str) -> SweepTrial:
    """Read a run of the search.

    Args:
        member: The run.
        metric: The name of the metric.
    """
    history = member.run.history()
    return make_trial(member, member.run.status(history), history, metric)


def make_trial(member: Member, status: str, history: History, metric: str) -> SweepTrial:
    """Make a trial of a run whose events are known.

    Args:
        member: The run.
        status: Its status.
        history: Its events.
        metric: The name of the metric.
    """
    ended = history.ended_phases
    stopped = next((each.because for each in reversed(history.controlled) if each.because), "")
    return SweepTrial(
        arm=member.arm,
        values=member.values,
        run=member.run,
        status=status,
        value=measure_validation(history, metric) if status == "done" else None,
        seconds=sum(each.preparing + each.seconds_saved + each.training + each.evaluating for each in ended)
        if status == "done"
        else None,
        flops=_count_flops(history) if status == "done" else None,
        why=stopped or str((history.ended and history.ended.error) or ""),
    )


def _count_flops(history: History) -> float | None:
    found = [
        each.estimate.flops * ended.steps
        for each, ended in zip(history.phases, history.ended_phases, strict=False)
        if each.estimate
    ]
    return float(sum(found)) if found and len(found) == len(history.phases) else None


def list_search(experiment: Experiment) -> list[Member]:
    """List the runs of the search, in the order in which they were started."""
    return [member for member in experiment.list_members() if member.round == SEARCH]


def read_trials(experiment: Experiment, metric: str) -> list[SweepTrial]:
    """Read all runs of the search.

    Args:
        experiment: The sweep.
        metric: The name of the metric.
    """
    return [read_trial(member, metric) for member in list_search(experiment)]


def rank_trials(trials: Iterable[SweepTrial], metric: Metric) -> list[SweepTrial]:
    """Sort the trials that have a result, the best first; of equal ones, the first that was tried.

    Args:
        trials: The trials.
        metric: The metric.
    """
    sign = 1 if metric.is_lower_better else -1
    return sorted((each for each in trials if each.value is not None), key=lambda each: sign * (each.value or 0.0))


def choose_finalists(trials: Sequence[SweepTrial], metric: Metric, count: int) -> list[SweepTrial]:
    """Choose the trials that are compared with the recipe's own values: the best of those that were better.

    Args:
        trials: All trials.
        metric: The metric.
        count: How many are chosen at most.
    """
    own = next((each.value for each in trials if each.arm == OWN), None)
    others = [each for each in rank_trials(trials, metric) if each.arm != OWN and each.value is not None]
    return [each for each in others if own is None or metric.is_better(each.value or 0.0, own)][:count]


def shorten_keys(keys: Sequence[str]) -> dict[str, str]:
    """Name keys by their last parts where these differ, else by all but the word phase.

    Args:
        keys: The dotted keys.

    Returns:
        The short names by key.
    """
    last = [key.rpartition(".")[2] for key in keys]
    return {
        key: name if last.count(name) == 1 else key.removeprefix("phase.") for key, name in zip(keys, last, strict=True)
    }


def find_frontier(points: Sequence[tuple[float, float]], metric: Metric) -> list[int]:
    """Find the points of cost and metric that no other point beats in both.

    Args:
        points: A cost and a value of the metric each.
        metric: The metric.

    Returns:
        Their indices, the cheapest first.
    """
    sign = 1 if metric.is_lower_better else -1
    found: list[int] = []
    for index in sorted(range(len(points)), key=lambda each: (points[each][0], sign * points[each][1])):
        if not found or metric.is_better(points[index][1], points[found[-1]][1]):
            found.append(index)
    return found
