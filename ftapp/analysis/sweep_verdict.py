"""What can be told of the best trials of a sweep against the recipe's own values.

The best of many trials was lucky as well, so its own result says too much (the winner's curse). Each finalist and the
recipe's own values are therefore measured again, paired by new seeds. Each of m finalists has Student's t interval at
1 - 0.05 / m confidence (Bonferroni; Dunn 1961, "Multiple Comparisons Among Means"), so that with 95% confidence all of
them hold at once. A finalist is the winner only if its whole interval is on the better side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ftapp.analysis import statistics
from ftapp.analysis.statistics import CONFIDENCE, SEEDS, Interval
from ftapp.common.formatting import format_quantity
from ftapp.recipe.metrics import Metric

METHOD = (
    "Finalists and the recipe's own values are compared on the validation split, paired by new seeds; the trials that "
    "chose the finalists do not count. Intervals are Student's t over the seeds at 1 - 0.05/m confidence for m "
    "finalists (Bonferroni; Dunn 1961), so that with 95% confidence all of them hold at once."
)


@dataclass(frozen=True)
class Finalist:
    """A finalist against the recipe's own values.

    Attributes:
        arm: The name of its arm.
        difference: The metric of the finalist minus that of the recipe; None with fewer than three seeds of both.
        confidence: The confidence of its interval, by which all intervals of the sweep hold at once.
        mean: The mean metric of the finalist over the seeds of both, or its own where both have none; None without any.
        own: That of the recipe.
        seeds: How many seeds both have.
    """

    arm: str
    difference: Interval | None
    confidence: float
    mean: float | None
    own: float | None
    seeds: int

    def beats(self, metric: Metric) -> bool:
        """Tell whether the whole interval is on the better side."""
        found = self.difference
        if found is None or found.contains(0):
            return False
        return metric.is_better(found.estimate, 0)

    def describe(self, metric: Metric) -> str:
        """Say in one sentence what can be told."""
        name, found = f"validation {metric.label}", self.difference
        if self.mean is None:
            return f"{self.arm} has no result with a new seed."
        if found is None or self.own is None:
            shared = format_quantity(self.seeds, "new seed")
            return (
                f"{self.arm} has a mean {name} of {metric.format_text(self.mean)}; it cannot be compared, since "
                f"{shared} {'has' if self.seeds == 1 else 'have'} a result of the recipe's own values too, and "
                f"{SEEDS} are the least."
            )
        means = f"{metric.format_text(self.mean)} against {metric.format_text(self.own)}"
        seeds = format_quantity(self.seeds, "new seed")
        if found.low == found.high == 0:
            return (
                f"{self.arm} and the recipe's own values have the same {name} over {seeds}, {means}: the values have "
                "no effect on it."
            )
        scope = f"over {seeds}, {means}, interval of the difference {_describe(found, metric)}"
        if self.beats(metric):
            return f"{self.arm} beats the recipe's own values in {name} by {_amount(found, metric)} {scope}."
        if found.contains(0):
            return f"{self.arm} cannot be told from the recipe's own values in {name} {scope}."
        return f"{self.arm} is worse than the recipe's own values in {name} {scope}."


def compare_finalists(
    values: Mapping[str, Mapping[int, float]], own: str, metric: Metric, examples: int = 0
) -> list[Finalist]:
    """Compare each finalist with the recipe's own values.

    Args:
        values: The metric by seed of each arm.
        own: The arm of the recipe's own values.
        metric: The metric.
        examples: The examples on which it was measured; 0 where their number is not known.

    Returns:
        The finalists, in their order.
    """
    names = [arm for arm in values if arm != own]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(names))
    rounding = statistics.compute_rounding_deviation(examples) if metric.is_proportion else 0.0
    found = []
    for arm in names:
        seeds = sorted(values[arm].keys() & values.get(own, {}).keys())
        theirs, ours = ([values[each][seed] for seed in seeds] for each in (arm, own))
        enough = len(seeds) >= SEEDS
        differences = (np.array(theirs) - np.array(ours)).tolist()
        difference = None
        if enough:
            interval = statistics.estimate_mean(differences, confidence=confidence, least_deviation=rounding)
            difference = _clip(interval, metric)
        means = [float(np.mean(each)) if each else None for each in (theirs or list(values[arm].values()), ours)]
        found.append(Finalist(arm, difference, confidence, means[0], means[1], len(seeds)))
    return found


def choose_winner(finalists: Sequence[Finalist], metric: Metric) -> Finalist | None:
    """Choose the best of the finalists that beat the recipe's own values; None where none does."""
    able = [each for each in finalists if each.beats(metric) and each.difference is not None]
    sign = -1 if metric.is_lower_better else 1
    return max(able, key=lambda each: sign * (each.difference.estimate if each.difference else 0.0), default=None)


def build_table(finalist: Finalist, metric: Metric) -> dict[str, Any]:
    """Lay out a finalist as JSON has it."""
    found = finalist.difference
    return {
        "arm": finalist.arm,
        "seeds": finalist.seeds,
        "mean": finalist.mean,
        "own": finalist.own,
        "difference": statistics.build_table(found) | {"confidence": finalist.confidence} if found else None,
        "beats": finalist.beats(metric),
        "says": finalist.describe(metric),
    }


def _clip(found: Interval, metric: Metric) -> Interval:
    """Cut the interval of a difference to those that the metric can have."""
    width = metric.range[1] - metric.range[0]
    return replace(found, low=max(found.low, -width), high=min(found.high, width))


def _amount(found: Interval, metric: Metric) -> str:
    return _number(abs(found.estimate), metric) + (" points" if metric.is_proportion else "")


def _describe(found: Interval, metric: Metric) -> str:
    unit = " points" if metric.is_proportion else ""
    return f"{_number(found.low, metric)} to {_number(found.high, metric)}{unit}"


def _number(value: float, metric: Metric) -> str:
    return f"{100 * value:.1f}" if metric.is_proportion else f"{value:.3g}"
