"""Runs side by side: what they gave, where their recipes differ, and what can be told of one against another."""

from __future__ import annotations

import statistics
import string
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ftapp import analysis
from ftapp.analysis import Interval, Series
from ftapp.history import History
from ftapp.runs import Run

WARM_UP = 3
"""Steps at the beginning of each phase, in which functions are compiled, that no comparison of times counts."""

# Keys of a recipe, as `settings` names them, that have a say in which examples are in which batch.
_BATCHES = ("seed", "data.", "model.image_size", "model.sequence_length", "augment.")
_BATCHES_OF_PHASE = ("batch_size", "steps", "epochs")
_EARLY = 0.25  # share of the steps that count as the beginning


@dataclass(frozen=True)
class Record:
    """A run as its folder tells it.

    name: what to call it among others; settings: the keys of its resolved recipe, flat and dotted, empty when it cannot
    be read; facts: its `environment.json`.
    """

    name: str
    run: Run
    status: str
    history: History
    settings: dict[str, Any]
    facts: dict[str, Any]

    @property
    def title(self) -> str:
        """The recipe's title, or the run's folder."""
        return str(self.settings.get("title", self.run.folder.name))

    def column(self, name: str) -> Series:
        """A column of the run's steps, float64 (steps,)."""
        return np.array(getattr(self.history.steps, name), np.float64)


def record(run: Run, name: str | None = None) -> Record:
    """Read a run's files. name: what to call it, else its folder's name."""
    history = History.of_file(run.events_file)
    return Record(name or run.folder.name, run, run.status(history), history, _settings(run), run.environment())


def records(found: Sequence[Run]) -> list[Record]:
    """Runs to be compared, called by letters and what they are: the arm, or the recipe."""
    letters = string.ascii_uppercase
    return [
        record(run, f"{letters[index % 26] * (index // 26 + 1)} {_label(run)}".rstrip())
        for index, run in enumerate(found)
    ]


def _label(run: Run) -> str:
    facts = run.environment()
    return str(facts.get("arm") or facts.get("recipe") or run.folder.name)


def _settings(run: Run) -> dict[str, Any]:
    try:
        raw = tomllib.loads(run.recipe_file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    raw["phase"] = {phase.pop("name"): phase for phase in raw.get("phase", [])}
    return _flat(raw)


def _flat(tables: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def differences(found: Sequence[Record]) -> dict[str, list[Any]]:
    """The keys in which the runs' recipes differ, with each run's value, None where it has none. Titles apart."""
    keys = dict.fromkeys(key for each in found for key in each.settings if key not in ("title", "summary"))
    values = {key: [each.settings.get(key) for each in found] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def metrics(one: Record) -> dict[str, float | int | str | None]:
    """What a run gave and took, by name; None where it is not known.

    Times are in seconds, `step_seconds` is the median without the first steps of each phase, memory is in bytes.
    """
    history, result = one.history, one.history.result
    seconds = [float(value) for value in one.column("seconds")[_warm(one)]]
    spent = {
        name: sum(getattr(phase, name) for phase in history.ended_phases) if history.ended_phases else None
        for name in ("preparing", "training", "evaluating")
    }
    return {
        "status": one.status,
        "test_loss": result.loss if result else None,
        "test_accuracy": result.accuracy if result else None,
        "trainable_share": history.trainable_share,
        "steps": len(history.steps),
        "seconds": history.ended.seconds if history.ended else None,
        **spent,
        "step_seconds": statistics.median(seconds) if seconds else None,
        "peak_memory": max(history.steps.memory, default=None),
        "seed": history.started.seed if history.started else None,
        "backend": history.started.backend if history.started else None,
        "precision": history.started.precision if history.started else None,
    }


def _warm(one: Record) -> Any:
    """Which steps are not the first of a phase: bool (steps,)."""
    steps = one.column("step")
    warm = np.ones(len(steps), bool)
    for phase in one.history.phases:
        warm &= (steps < phase.first_step) | (steps >= phase.first_step + WARM_UP)
    return warm


@dataclass(frozen=True)
class Comparison:
    """What can be told of an arm B against an arm A, each with one run or more.

    loss: B - A of the training losses on the same batches; under: the share of points (L_B, L_A) under y = x;
    variance: of B over A around their courses in the first quarter of the steps; saved: r = (T_A - T_B) / T_A, with
    features that are kept and without the first steps of each phase; accuracy: B - A on the test split.
    None where it cannot be compared, with the reason under the same name in `reasons`. verdicts: all of it in
    sentences.
    """

    a: str
    b: str
    loss: Interval | None = None
    under: Interval | None = None
    variance: Interval | None = None
    saved: Interval | None = None
    accuracy: Interval | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    verdicts: list[str] = field(default_factory=list)

    def table(self) -> dict[str, Any]:
        """As JSON has it."""
        found = {name: getattr(self, name) for name in ("loss", "under", "variance", "saved", "accuracy")}
        return {
            "a": self.a,
            "b": self.b,
            **{name: analysis.table(value) if value else None for name, value in found.items()},
            "reasons": self.reasons,
            "verdicts": self.verdicts,
        }


def compared(a: Sequence[Record], b: Sequence[Record], names: tuple[str, str] | None = None) -> Comparison:
    """B against A. a, b: the runs of each arm, one a repeat, the repeats of both in the same order.

    names: what to call the arms, else the names of their first runs.
    """
    pairs = list(zip(a, b, strict=True))
    name_a, name_b = names or (a[0].name, b[0].name)
    reasons: dict[str, str] = {}
    verdicts: list[str] = []
    loss = under = variance = saved = accuracy = None
    if reason := next((found for pair in pairs if (found := _other_batches(*pair))), None):
        reasons["loss"] = reasons["under"] = reasons["variance"] = reason
    else:
        series = [_same_steps(one.column("loss"), other.column("loss")) for one, other in pairs]
        loss, under = analysis.difference(series), analysis.under_line(series)
        verdicts.append(analysis.verdict(name_a, name_b, "training loss", loss))
        early = [(one[: (n := round(len(one) * _EARLY))], other[:n]) for one, other in series]
        if min(len(one) for one, _ in early) >= 2:
            variance = analysis.variance_ratio(early)
            verdicts.append(analysis.verdict_on_variance(name_a, name_b, variance))
    if reason := next((found for pair in pairs if (found := _other_machine(*pair))), None):
        reasons["saved"] = reason
    else:
        timed = [_same_steps(*(each.column("seconds")[_warm(each)] for each in pair)) for pair in pairs]
        if all(len(one) for one, _ in timed):
            once = [statistics.fmean(_preparing(each) for each in arm) for arm in (a, b)]
            saved = analysis.saved(timed, (once[0], once[1]))
            verdicts.append(analysis.verdict_on_time(name_a, name_b, saved))
        else:
            reasons["saved"] = f"there are no steps after the first {WARM_UP} of a phase"
    results = [(one.history.result, other.history.result) for one, other in pairs]
    if len(pairs) >= analysis.SEEDS:
        gained = [
            q.accuracy - p.accuracy for p, q in results if p and q and p.accuracy is not None and q.accuracy is not None
        ]
        accuracy = analysis.of_repeats(gained) if len(gained) == len(pairs) else None
    elif (shares := _shares(results)) is not None:
        accuracy = analysis.difference_of_shares(*shares, repeats=len(pairs))
    if accuracy is not None:
        verdicts.append(analysis.verdict(name_a, name_b, "test accuracy", accuracy, percent=True))
    return Comparison(name_a, name_b, loss, under, variance, saved, accuracy, reasons, verdicts)


def _shares(results: Sequence[tuple[Any, Any]]) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """How many test examples A and B had right, and out of how many, over all repeats."""
    if not all(each is not None and each.accuracy is not None for pair in results for each in pair):
        return None
    right = [sum(round(pair[arm].accuracy * pair[arm].examples) for pair in results) for arm in (0, 1)]
    of = [sum(pair[arm].examples for pair in results) for arm in (0, 1)]
    return (right[0], right[1]), (of[0], of[1])


def _same_steps(a: Series, b: Series) -> tuple[Series, Series]:
    n = min(len(a), len(b))
    return a[:n], b[:n]


def _preparing(one: Record) -> float:
    return sum(phase.preparing for phase in one.history.ended_phases)


def _other_batches(a: Record, b: Record) -> str | None:
    """Why the losses of two runs cannot be paired; None when they can."""
    if not len(a.history.steps) or not len(b.history.steps):
        return "a run made no steps"
    if differing := [key for key in differences([a, b]) if _decides_batches(key)]:
        return f"the runs did not see the same batches: {', '.join(differing)} differ"
    if a.settings.get("model.head") != b.settings.get("model.head"):
        return "the runs have losses of different kinds: model.head differs"
    return None


def _decides_batches(key: str) -> bool:
    return key.startswith(_BATCHES) or (key.startswith("phase.") and key.rpartition(".")[2] in _BATCHES_OF_PHASE)


def _other_machine(a: Record, b: Record) -> str | None:
    """Why the times of two runs cannot be compared; None when they can."""
    for name in ("processor", "cores", "platform"):
        if a.facts.get(name) != b.facts.get(name):
            return f"the runs are from different machines: {a.facts.get(name)} and {b.facts.get(name)}"
    return None


def told(found: Sequence[Record]) -> dict[str, Any]:
    """Runs side by side as JSON has it: each run's metrics, differing keys, and each later run against the first."""
    return {
        "runs": [{"name": each.name, "run": str(each.run.folder)} | metrics(each) for each in found],
        "differences": differences(found),
        "comparisons": [compared([found[0]], [each]).table() for each in found[1:]],
    }
