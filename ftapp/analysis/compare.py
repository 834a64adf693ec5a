"""Runs side by side: what they gave, where their recipes differ, and what can be told of one against another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ftapp.analysis import statistics, verdicts
from ftapp.analysis.cross_validation import summarize_all
from ftapp.analysis.pairing import count_preparation, explain_other_batches, pair_losses, pair_times
from ftapp.analysis.records import WARM_UP, Arm, Record, compare_settings, find_differences, measure_run
from ftapp.analysis.statistics import Interval
from ftapp.recipe.metrics import KNOWN, get_metric, sort_names

_CROWDED = 0.1  # share of the cores' time in which other processes' work tells on that of a run
_TESTED = ("data.source", "data.text_column", "data.image_column", "data.label_column")  # decide what is tested
_EARLY = 0.25  # share of the steps that count as the beginning


@dataclass
class Comparison:
    """What can be told of an arm B against an arm A, each with one run or more.

    loss: B - A of the training losses on the same batches; under: the share of points (L_B, L_A) under y = x;
    variance: of B over A around their courses in the first quarter of the steps; saved: r = (T_A - T_B) / T_A, with
    features that are kept and without the first steps of each phase; metrics: B - A of each on the test split.
    None where it cannot be compared, with the reason under the same name in `reasons`; caveats: what is to be minded of
    those that were, likewise. verdicts: all of it in sentences.
    """

    a: str
    b: str
    loss: Interval | None = None
    under: Interval | None = None
    variance: Interval | None = None
    saved: Interval | None = None
    metrics: dict[str, Interval] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    caveats: dict[str, str] = field(default_factory=dict)
    verdicts: list[str] = field(default_factory=list)

    def table(self) -> dict[str, Any]:
        """As JSON has it."""
        found = {name: getattr(self, name) for name in ("loss", "under", "variance", "saved")}
        found |= {name: self.metrics.get(name) for name in sort_names((*KNOWN, *self.metrics)) if name != "loss"}
        return {
            "a": self.a,
            "b": self.b,
            **{name: statistics.build_table(value) if value else None for name, value in found.items()},
            "reasons": self.reasons,
            "caveats": self.caveats,
            "verdicts": self.verdicts,
        }


def compare_arms(a: Arm, b: Arm) -> Comparison:
    """Compare arm B with arm A, whose runs are paired in their order.

    Args:
        a: the arm that B is held against.
        b: the other arm.

    Returns:
        What can be told of B against A, with a reason for each measure that cannot.

    Raises:
        ValueError: one of the arms has more runs.
    """
    found = Comparison(a.name, b.name)
    pairs = list(zip(a.records, b.records, strict=True))
    unfinished = [each for pair in pairs for each in pair if each.status != "done"]
    if unfinished and all(len(each.history.steps) for pair in pairs for each in pair):
        ends = ", ".join(dict.fromkeys(f"{each.name} is {each.status}" for each in unfinished))
        found.verdicts.append(f"{ends}: what is said of steps is of those that both have made.")
    if reason := _explain_other_folds(pairs):
        found.reasons |= dict.fromkeys(("loss", "under", "variance", "saved"), reason)
        return found
    _compare_losses(found, a, b)
    _compare_times(found, a, b)
    _compare_metrics(found, pairs, a.overlap)
    return found


def _compare_losses(found: Comparison, a: Arm, b: Arm) -> None:
    """Add what the training losses on the same batches tell: their difference, and how unsteady they are early on."""
    reason = next((why for pair in zip(a.records, b.records, strict=True) if (why := explain_other_batches(*pair))), "")
    series = pair_losses(a, b)
    if not reason and min(len(one) for one, _ in series) < statistics.FEWEST:
        reason = f"losses are of {statistics.FEWEST} steps or more"
    if reason:
        found.reasons |= dict.fromkeys(("loss", "under", "variance"), reason)
        return
    found.loss = statistics.estimate_difference(series, overlap=a.overlap)
    found.under = statistics.estimate_share_under_line(series, a.overlap)
    found.verdicts.append(verdicts.describe_difference(a.name, b.name, "training loss", found.loss))
    early = [(one[: (n := round(len(one) * _EARLY))], other[:n]) for one, other in series]
    identical = all(np.array_equal(*pair) for pair in early)
    if min(len(one) for one, _ in early) >= statistics.FEWEST and not identical:
        found.variance = statistics.estimate_variance_ratio(early, overlap=a.overlap)
        found.verdicts.append(verdicts.describe_variance(a.name, b.name, found.variance))


def _compare_times(found: Comparison, a: Arm, b: Arm) -> None:
    """Add which share of the training time B saves, where the times are comparable."""
    pairs = list(zip(a.records, b.records, strict=True))
    if reason := next((why for pair in pairs if (why := _explain_other_machine(*pair))), None):
        found.reasons["saved"] = reason
        return
    timed = [pair_times(*pair) for pair in pairs]
    if not all(len(one) >= statistics.FEWEST for one, _ in timed):
        few = f"there are fewer than {statistics.FEWEST} steps after the first {WARM_UP} of a phase"
        found.reasons["saved"] = few
        return
    found.saved = statistics.estimate_time_saved(timed, count_preparation(a, b), a.overlap)
    verdict = verdicts.describe_time_saved(a.name, b.name, found.saved)
    if crowding := _describe_crowding(pairs):
        caveat = found.caveats["saved"] = f"{crowding}, so it is only approximate"
        verdict = f"{verdict} {_make_sentence(caveat)}"
    found.verdicts.append(verdict)


def _compare_metrics(found: Comparison, pairs: Sequence[tuple[Record, Record]], overlap: float | None) -> None:
    """Add the difference of each metric on the test split that all runs have measured.

    Of few repeats only proportions have an interval, by the number of test examples.
    """
    results = [result for pair in pairs for each in pair if (result := each.history.result)]
    if len(results) < 2 * len(pairs):
        return
    if reason := _explain_other_answers(pairs):
        found.reasons |= dict.fromkeys(results[0].metrics, reason)
        return
    examples = min(each.examples for each in results)
    caveat = _describe_other_data(pairs)
    for name in results[0].metrics:
        values = np.array([value for each in results if (value := each.value(name)) is not None])
        if len(values) < len(results):
            continue
        ours, theirs, measured = values[::2], values[1::2], get_metric(name)
        if len(pairs) >= statistics.SEEDS:
            rounding = statistics.compute_rounding_deviation(examples) if measured.is_proportion else 0.0
            difference = statistics.estimate_mean((theirs - ours).tolist(), overlap, least_deviation=rounding)
        elif measured.is_proportion and examples and values.min() >= 0 and values.max() <= 1:
            # Repeats share test examples, so they do not count as more of these.
            first, second = (round(examples * float(np.mean(each))) for each in (ours, theirs))
            difference = statistics.estimate_share_difference((first, second), (examples, examples), repeats=len(pairs))
        else:
            continue
        found.metrics[name] = difference
        if caveat:
            found.caveats[name] = caveat
        verdict = verdicts.describe_difference(
            found.a, found.b, f"test {measured.label}", difference, percent=measured.is_proportion
        )
        found.verdicts.append(verdict)
    if caveat and found.metrics:
        found.verdicts.append(_make_sentence(caveat))


def _describe_other_data(pairs: Sequence[tuple[Record, Record]]) -> str | None:
    """By which keys the runs may be tested on different data; None where by none."""
    keys = list(dict.fromkeys(key for pair in pairs for key in compare_settings(pair) if key in _TESTED))
    verb = "differs" if len(keys) == 1 else "differ"
    return f"the runs may be tested on different data: {', '.join(keys)} {verb}" if keys else None


def _explain_other_answers(pairs: Sequence[tuple[Record, Record]]) -> str | None:
    """Why the answers of two runs are of different kinds; None where they are of the same."""
    for pair in pairs:
        if "task" in compare_settings(pair):
            return "the runs have different tasks"
        a, b = (sorted(data.classes) if (data := each.history.data) else None for each in pair)
        if None not in (a, b) and a != b:
            return "the runs have different classes"
    return None


def _explain_other_folds(pairs: Sequence[tuple[Record, Record]]) -> str | None:
    """Why runs of different folds cannot be compared; None for runs of the same fold, or of none."""
    keys = ("data.folds", "data.fold")
    if all(one.settings.get(key) == other.settings.get(key) for one, other in pairs for key in keys):
        return None
    return "the runs test on different folds, which are repeats of one job; the arms of an experiment share their folds"


def _explain_other_machine(a: Record, b: Record) -> str | None:
    """Why the times of two runs cannot be compared; None when they can."""
    if max(_count_together(a), _count_together(b)) > 1:
        return "the runs went on beside others, which took turns at the machine (--jobs)"
    for name in ("processor", "cores", "platform"):
        if a.facts.get(name) != b.facts.get(name):
            return f"the runs are from different machines: {a.facts.get(name)} and {b.facts.get(name)}"
    return None


def _describe_crowding(pairs: Sequence[tuple[Record, Record]]) -> str | None:
    """What others computed while the runs trained, where it was enough to tell on their times; None where not."""
    shares = [
        [max((phase.others for each in pair for phase in each.history.ended_phases), default=0.0) for pair in sides]
        for sides in ([(a,) for a, _ in pairs], [(b,) for _, b in pairs])
    ]
    most = [max(each, default=0.0) for each in shares]
    if max(most) <= _CROWDED:
        return None
    return "other processes took {:.0%} and {:.0%} of the cores' time while the runs trained".format(*most)


def _count_together(one: Record) -> int:
    """How many runs of its experiment went on at once."""
    jobs = one.facts.get("jobs", 1)
    return jobs if isinstance(jobs, int) else 1


def compare_all(arms: Sequence[Arm]) -> list[Comparison]:
    """Each later arm against the first."""
    return [compare_arms(arms[0], arm) for arm in arms[1:]]


def build_table(arms: Sequence[Arm]) -> dict[str, Any]:
    """Arms side by side as JSON has it: each run's metrics, differing keys, and each later arm against the first.

    Arms with folds have the means over these too.
    """
    return {
        "runs": [
            {"name": arm.name, "run": str(each.run.folder)} | measure_run(each) for arm in arms for each in arm.records
        ],
        "differences": find_differences(arms),
        "comparisons": [each.table() for each in compare_all(arms)],
        "folds": [each.table() for each in summarize_all(arms)],
    }


def _make_sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
