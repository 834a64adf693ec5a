"""What an experiment was expected to show beside what it shows: does each finding hold?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ftapp.analysis import compare, statistics
from ftapp.analysis.pairing import pair_losses
from ftapp.analysis.records import Arm, Record, collect_drift, measure_token_share_gain
from ftapp.analysis.statistics import Interval, Series
from ftapp.recipe import MEASURES, Finding
from ftapp.recipe.metrics import Metric


@dataclass(frozen=True)
class Row:
    """A finding and whether it holds.

    Attributes:
        finding: what the recipe expects.
        found: what was measured; None where it could not be, as of a run that did not end well.
        holds: yes, no, or a few words.
        note: why it could not be measured, or a caveat of the measurement.
    """

    finding: Finding
    found: Interval | None
    holds: str
    note: str | None = None

    @property
    def ours(self) -> str:
        """What was measured, in words."""
        if self.found is None:
            return "not measured"
        estimate = self._format(self.found.estimate) + self._unit
        if self.found.low == self.found.high:
            return estimate
        return f"{estimate} ({self._format(self.found.low)} to {self._format(self.found.high)})"

    @property
    def bounds(self) -> str:
        """Between which bounds the whole interval has to lie, in words."""
        low, high = self.finding.at_least, self.finding.at_most
        if low is not None and high is not None:
            return f"{self._format(low)} to {self._format(high)}{self._unit}"
        if low is not None:
            return f"at least {self._format(low)}{self._unit}"
        assert high is not None
        return f"at most {self._format(high)}{self._unit}"

    @property
    def _unit(self) -> str:
        return " points" if MEASURES[self.finding.measure].unit == "points" else ""

    def _format(self, value: float) -> str:
        match MEASURES[self.finding.measure].unit:
            case "points":
                return f"{100 * value:.1f}"
            case "share":
                return f"{value:.1%}"
            case "number":
                return f"{value:.3g}"


HEADER = ("finding", "lesson's value", "holds where", "ours (95% interval)", "holds?")


def build_table(rows: Sequence[Row]) -> list[list[str]]:
    """Lay out the findings as rows of `HEADER`."""
    return [
        [
            row.finding.says,
            row.finding.lesson,
            row.bounds,
            f"{row.ours}: {row.note}" if row.note else row.ours,
            row.holds,
        ]
        for row in rows
    ]


def check_findings(findings: Sequence[Finding], arms: Sequence[Arm]) -> list[Row]:
    """Hold each finding against what the arms show."""
    by_name = {arm.name: arm for arm in arms}
    return [_check(finding, by_name) for finding in findings]


def _check(finding: Finding, arms: Mapping[str, Arm]) -> Row:
    arm, against = arms.get(finding.arm), arms.get(finding.against or finding.arm)
    if arm is None or against is None:
        missing = finding.arm if arm is None else finding.against
        return Row(finding, None, "not measured", f"no run of '{missing}' is there")
    ends = {each.name: each.status for each in (*arm.records, *against.records) if each.status != "done"}
    if ends:
        note = ", ".join(f"{name} is {status}" for name, status in ends.items())
        return Row(finding, None, "not measured", note)
    found = measure(finding, arm, against)
    if found is None:
        return Row(finding, None, "not measured", _explain_missing(finding, arm, against))
    caveat = compare.compare_arms(against, arm).caveats.get("saved") if finding.measure == "time-saved" else None
    return Row(finding, found, judge(finding, found), caveat)


def _explain_missing(finding: Finding, arm: Arm, against: Arm) -> str:
    """Why runs that came to their end do not show a finding."""
    if metric := MEASURES[finding.measure].metric:
        return _explain_no_metric(metric, finding.step, arm, against)
    match finding.measure:
        case "loss" | "variance" | "early-variance" | "time-saved":
            name = "saved" if finding.measure == "time-saved" else "loss"
            few = f"the first quarter has fewer than {statistics.FEWEST} steps, or the losses are the same"
            return compare.compare_arms(against, arm).reasons.get(name, few)
        case "drift":
            return f"the change of weights was measured in fewer than {statistics.FEWEST} steps of both"
        case "drift-course":
            return f"the change of weights was measured in fewer than {3 * statistics.FEWEST} steps"
        case "common-tokens":
            return "the runs did not measure the common tokens of what they wrote ([samples] common)"
        case _:
            return "no phase began"


def _explain_no_metric(metric: Metric, step: int | None, arm: Arm, against: Arm) -> str:
    """Why runs that came to their end do not show a metric, or its difference."""
    if step is not None and _list_values(metric, step, arm) is None:
        return f"a run has no held-out {metric.label} after step {step} (evaluate.every)"
    results = [each.history.result for each in (*arm.records, *against.records)]
    if step is None and any(each is None or each.value(metric.name) is None for each in results):
        return f"a run has no test {metric.label}"
    return f"the interval of {metric.label} is that of {statistics.SEEDS} repeats or more (--repeat)"


def judge(finding: Finding, found: Interval) -> str:
    """Whether an interval lies within the finding's bounds: yes, no where it lies outside, else 'cannot be told'."""
    low = -math.inf if finding.at_least is None else finding.at_least
    high = math.inf if finding.at_most is None else finding.at_most
    if low <= found.low and found.high <= high:
        return "yes"
    return "no" if found.high < low or found.low > high else "cannot be told"


def measure(finding: Finding, arm: Arm, against: Arm) -> Interval | None:
    """The finding's measure of an arm, against another where it is of two. None where there is not enough to measure.

    loss: the difference of the training loss on the same batches. A metric, such as accuracy: its difference on the
    test split; with -after: its value on held-out examples after `step` steps. time-saved: r.
    variance, early-variance: ratios of the variances of the training loss around its course, over all steps and over
    the first quarter. drift: ratio of the changes ||W_t - W_(t-1)|| of layers that train in both. drift-course: the
    change in the last third of the measured steps over that in the first. common-tokens: the growth of their share in
    what the model writes. trainable-share: R of the last phase.
    """
    if metric := MEASURES[finding.measure].metric:
        if finding.step is not None:
            return measure_after(metric, finding.step, arm)
        return compare.compare_arms(against, arm).metrics.get(metric.name)
    match finding.measure:
        case "loss":
            return compare.compare_arms(against, arm).loss
        case "time-saved":
            return compare.compare_arms(against, arm).saved
        case "early-variance":
            return compare.compare_arms(against, arm).variance
        case "variance":
            pairs = pair_losses(against, arm)
            return statistics.estimate_variance_ratio(pairs, overlap=arm.overlap) if pairs else None
        case "drift":
            return _compare_drift(arm, against)
        case "drift-course":
            return _measure_course(arm)
        case "common-tokens":
            return _measure_gain(arm)
        case _:
            share = arm.records[0].history.trainable_share
            return None if share is None else Interval(share, share, share)


def _average_changes(one: Record, only: set[str] | None = None) -> dict[float, float]:
    """The mean change of the layers in a step, by the step."""
    layers, steps, values = collect_drift(one.history, "last_step")
    kept = [index for index, name in enumerate(layers) if only is None or name in only]
    means = values[kept].mean(axis=0) if kept else np.full(len(steps), np.nan)
    return {float(step): float(mean) for step, mean in zip(steps, means, strict=True) if mean > 0}


def _compare_drift(arm: Arm, against: Arm) -> Interval | None:
    ratios: list[Series] = []
    for one, other in zip(arm.records, against.records, strict=True):
        shared = set.intersection(*(set(collect_drift(each.history, "last_step")[0]) for each in (one, other)))
        ours, theirs = _average_changes(one, shared), _average_changes(other, shared)
        steps = sorted(ours.keys() & theirs.keys())
        if len(steps) < statistics.FEWEST:
            return None
        ratios.append(np.array([math.log(ours[step] / theirs[step]) for step in steps]))
    return statistics.exponentiate(
        statistics.estimate_interval(
            lambda drawn: drawn[:, 0].mean(axis=1), [each[None] for each in ratios], overlap=arm.overlap
        )
    )


def _measure_course(arm: Arm) -> Interval | None:
    repeats = [np.log([value for _, value in sorted(_average_changes(each).items())]) for each in arm.records]
    if min(map(len, repeats)) < 3 * statistics.FEWEST:
        return None

    def fall(drawn: Series) -> Series:
        third = drawn.shape[2] // 3
        difference: Series = drawn[:, 0, -third:].mean(axis=1) - drawn[:, 0, :third].mean(axis=1)
        return difference

    courses = [each[None] for each in repeats]
    return statistics.exponentiate(statistics.estimate_interval(fall, courses, overlap=arm.overlap))


def _measure_gain(arm: Arm) -> Interval | None:
    gains = [measure_token_share_gain(each) for each in arm.records]
    known = [gain for gain in gains if gain is not None]
    if len(known) >= statistics.SEEDS:
        return statistics.estimate_mean([gain.estimate for gain in known], arm.overlap)
    return known[0] if known else None


def measure_after(metric: Metric, step: int, arm: Arm) -> Interval | None:
    """The mean of a metric on held-out examples over the runs of an arm.

    Args:
        metric: The metric. Of fewer runs than `statistics.SEEDS`, only a proportion has an interval.
        step: The step after which it is taken.
        arm: The arm.

    Returns:
        The mean; None where a run did not measure the metric then, or where there is no interval.
    """
    found = _list_values(metric, step, arm)
    if found is None:
        return None
    values, sizes = zip(*found, strict=True)
    if not metric.is_proportion:
        return statistics.estimate_mean(values, arm.overlap) if len(values) >= statistics.SEEDS else None
    examples = min(sizes)  # repeats share examples, so they do not count as more of these
    return statistics.estimate_share(round(float(np.mean(values)) * examples), examples, len(found))


def _list_values(metric: Metric, step: int, arm: Arm) -> list[tuple[float, int]] | None:
    """For each run of an arm the metric after a step, and of how many examples; None where a run lacks it."""
    found: list[tuple[float, int]] = []
    for each in arm.records:
        there = [
            (value, evaluated.examples)
            for evaluated in each.history.evaluations
            if evaluated.step == step
            if (value := evaluated.value(metric.name)) is not None
            if not metric.is_proportion or 0 <= value <= 1
        ]
        if not there:
            return None
        found.append(there[0])
    return found
