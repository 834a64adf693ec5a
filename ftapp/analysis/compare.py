"""Runs side by side: what they gave, where their recipes differ, and what can be told of one against another."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp import recipe
from ftapp.analysis import statistics
from ftapp.analysis.statistics import Interval, Series
from ftapp.common.errors import RecipeError
from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs.history import History
from ftapp.runs.run_folder import Run

WARM_UP = 3
"""Steps at the beginning of each phase, in which functions are compiled, that no comparison of times counts."""

# Nor steps that took so many times the median: something was compiled anew, as for the first batch of another shape.
_COMPILED = 8.0

# Keys of a recipe, as `settings` names them, that have a say in which examples are in which batch.
_BATCHES = ("seed", "data.", "model.image_size", "model.sequence_length", "augment.")
_BATCHES_OF_PHASE = ("batch_size", "steps", "epochs")
_CROWDED = 0.1  # share of the cores' time in which other processes' work tells on that of a run
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
    history = run.history()
    return Record(name or run.folder.name, run, run.status(history), history, _settings(run), run.environment())


_LETTERED = re.compile(r"[A-Z] (?=.)")


@dataclass(frozen=True)
class Arm:
    """One of the things that are compared: a run, or the runs of an experiment's arm, one a repeat."""

    name: str
    records: tuple[Record, ...]


def of_runs(found: Sequence[Run]) -> list[Arm]:
    """Runs as arms of their own, called by letters and what they are: the arm, or the recipe.

    Arms whose names begin with letters of their own, such as "A full" and "B targeted", keep these where they differ.
    """
    letters = string.ascii_uppercase
    names = [_label(run) for run in found]
    own = [name[0] if _LETTERED.match(name) else "" for name in names]
    if "" in own or len(set(own)) < len(own):
        names = [
            f"{letters[index % 26] * (index // 26 + 1)} {_LETTERED.sub('', name)}" for index, name in enumerate(names)
        ]
    return [Arm(name, (record(run, name),)) for name, run in zip(names, found, strict=True)]


def of_experiment(experiment: Experiment) -> list[Arm]:
    """The arms of an experiment with the runs of the repeats that all of them have."""
    arms = []
    for name, found in experiment.arms().items():
        several = len(found) > 1
        records = [record(run, f"{name}, repeat {number}" if several else name) for number, run in enumerate(found, 1)]
        arms.append(Arm(name, tuple(records)))
    return arms


def _label(run: Run) -> str:
    facts = run.environment()
    name: str = facts.get("arm") or facts.get("recipe") or run.folder.name
    return name


def _settings(run: Run) -> dict[str, Any]:
    try:
        raw = recipe.read(run.recipe_file)
    except RecipeError:
        return {}
    phases = raw.get("phase", [])
    if isinstance(phases, list):
        named = [phase for phase in phases if isinstance(phase, dict)]
        raw["phase"] = {str(phase.pop("name", index)): phase for index, phase in enumerate(named)}
    return _flat(raw)


def _flat(tables: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def differences(arms: Sequence[Arm]) -> dict[str, list[Any]]:
    """The keys in which the arms' recipes differ, with each arm's value, None where it has none. Titles apart."""
    return _differences([arm.records[0] for arm in arms])


def _differences(found: Sequence[Record]) -> dict[str, list[Any]]:
    keys = dict.fromkeys(key for each in found for key in each.settings if key not in ("title", "summary"))
    values = {key: [each.settings.get(key) for each in found] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def metrics(one: Record) -> dict[str, float | int | str | None]:
    """What a run gave and took, by name; None where it is not known.

    Times are in seconds, `step_seconds` is the median without the first steps of each phase, memory is in bytes.
    """
    history, result = one.history, one.history.result
    seconds = one.column("seconds")[_warm(one)]
    spent = {
        name: sum(getattr(phase, name) for phase in history.ended_phases) if history.ended_phases else None
        for name in ("preparing", "training", "evaluating")
    }
    return {
        "status": one.status,
        "test_loss": result.loss if result else None,
        "test_accuracy": result.accuracy if result else None,
        "trainable_share": history.trainable_share,
        "token_share_before": _mean_share(history, 0),
        "token_share_after": _mean_share(history, -1),
        "steps": len(history.steps),
        "seconds": history.ended.seconds if history.ended else None,
        **spent,
        "step_seconds": float(np.median(seconds)) if len(seconds) else None,
        "peak_memory": max(history.steps.memory, default=None),
        "seed": history.started.seed if history.started else None,
        "backend": history.started.backend if history.started else None,
        "precision": history.started.precision if history.started else None,
    }


def _mean_share(history: History, place: int) -> float | None:
    if len(history.token_shares) < 2:
        return None
    known = [share for share in history.token_shares[place].shares if share is not None]
    return float(np.mean(known)) if known else None


def drift(history: History, what: str) -> tuple[list[str], Series, Series]:
    """How far each layer's weights have gone: layers (n,), steps (m,), and values (n, m), NaN where there is none.

    what: `since_start` or `last_step`, as in `Drifted`.
    """
    layers = {phase.phase: phase.trainable_layers for phase in history.phases}
    names = list(dict.fromkeys(name for phase in history.phases for name in phase.trainable_layers))
    told = [each for each in history.drifts if getattr(each, what) is not None]
    values = np.full((len(names), len(told)), np.nan)
    place = {name: index for index, name in enumerate(names)}
    for column, each in enumerate(told):
        for name, value in zip(layers.get(each.phase, []), getattr(each, what), strict=False):
            values[place[name], column] = math.nan if value is None else value
    known = ~np.isnan(values).all(axis=1)
    steps = np.array([each.step for each in told], np.float64)
    return [name for name, is_known in zip(names, known, strict=True) if is_known], steps, values[known]


def token_share_gain(one: Record) -> Interval | None:
    """How much the share p of common tokens in what a run wrote grew over its training; None where it was not measured.

    The interval is Welch's over the texts.
    """
    told = one.history.token_shares
    if len(told) < 2:
        return None
    before, after = ([share for share in each.shares if share is not None] for each in (told[0], told[-1]))
    return statistics.difference_of_means(before, after) if min(len(before), len(after)) >= 2 else None


def _warm(one: Record) -> NDArray[np.bool_]:
    """Which steps compiled nothing: bool (steps,)."""
    steps, seconds = one.column("step"), one.column("seconds")
    warm = np.ones(len(steps), bool)
    for phase in one.history.phases:
        inside = (steps >= phase.first_step) & (steps < phase.first_step + phase.steps)
        begins = inside & (steps < phase.first_step + WARM_UP)
        rest = inside & ~begins
        if rest.any():
            warm &= ~(rest & (seconds > _COMPILED * np.median(seconds[rest])))
        warm &= ~begins
    return warm


@dataclass(frozen=True)
class Comparison:
    """What can be told of an arm B against an arm A, each with one run or more.

    loss: B - A of the training losses on the same batches; under: the share of points (L_B, L_A) under y = x;
    variance: of B over A around their courses in the first quarter of the steps; saved: r = (T_A - T_B) / T_A, with
    features that are kept and without the first steps of each phase; accuracy: B - A on the test split.
    None where it cannot be compared, with the reason under the same name in `reasons`; caveats: what is to be minded of
    those that were, likewise. verdicts: all of it in sentences.
    """

    a: str
    b: str
    loss: Interval | None = None
    under: Interval | None = None
    variance: Interval | None = None
    saved: Interval | None = None
    accuracy: Interval | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    caveats: dict[str, str] = field(default_factory=dict)
    verdicts: list[str] = field(default_factory=list)

    def table(self) -> dict[str, Any]:
        """As JSON has it."""
        found = {name: getattr(self, name) for name in ("loss", "under", "variance", "saved", "accuracy")}
        return {
            "a": self.a,
            "b": self.b,
            **{name: statistics.table(value) if value else None for name, value in found.items()},
            "reasons": self.reasons,
            "caveats": self.caveats,
            "verdicts": self.verdicts,
        }


def compared(a: Arm, b: Arm) -> Comparison:
    """B against A, whose runs are paired in their order. Raises ValueError when one has more of them."""
    pairs = list(zip(a.records, b.records, strict=True))
    reasons: dict[str, str] = {}
    caveats: dict[str, str] = {}
    verdicts: list[str] = []
    loss = under = variance = saved = accuracy = None
    early = [each for pair in pairs for each in pair if each.status != "done"]
    if early and all(len(each.history.steps) for pair in pairs for each in pair):
        ends = ", ".join(dict.fromkeys(f"{each.name} is {each.status}" for each in early))
        verdicts.append(f"{ends}: what is said of steps is of those that both have made.")
    if reason := next((found for pair in pairs if (found := _other_batches(*pair))), None):
        reasons["loss"] = reasons["under"] = reasons["variance"] = reason
    elif (series := paired_losses(a, b)) and min(len(one) for one, _ in series) < statistics.FEWEST:
        reasons["loss"] = reasons["under"] = reasons["variance"] = f"losses are of {statistics.FEWEST} steps or more"
    else:
        loss, under = statistics.difference(series), statistics.under_line(series)
        verdicts.append(statistics.verdict(a.name, b.name, "training loss", loss))
        begun = [(one[: (n := round(len(one) * _EARLY))], other[:n]) for one, other in series]
        identical = all(np.array_equal(*pair) for pair in begun)
        if min(len(one) for one, _ in begun) >= statistics.FEWEST and not identical:
            variance = statistics.variance_ratio(begun)
            verdicts.append(statistics.verdict_on_variance(a.name, b.name, variance))
    if reason := next((found for pair in pairs if (found := _other_machine(*pair))), None):
        reasons["saved"] = reason
    else:
        timed = [_timed(*pair) for pair in pairs]
        if all(len(one) >= statistics.FEWEST for one, _ in timed):
            saved = statistics.saved(timed, _once(a, b))
            verdict = statistics.verdict_on_time(a.name, b.name, saved)
            if caveat := _crowding(pairs):
                caveats["saved"] = f"{caveat}, so it is only roughly right"
                verdict = f"{verdict} {caveats['saved'][:1].upper()}{caveats['saved'][1:]}."
            verdicts.append(verdict)
        else:
            reasons["saved"] = f"there are fewer than {statistics.FEWEST} steps after the first {WARM_UP} of a phase"
    results = [(one.history.result, other.history.result) for one, other in pairs]
    if len(pairs) >= statistics.SEEDS:
        gained = [
            q.accuracy - p.accuracy for p, q in results if p and q and p.accuracy is not None and q.accuracy is not None
        ]
        accuracy = statistics.of_repeats(gained) if len(gained) == len(pairs) else None
    elif (shares := _shares(results)) is not None:
        accuracy = statistics.difference_of_shares(*shares, repeats=len(pairs))
    if accuracy is not None:
        verdicts.append(statistics.verdict(a.name, b.name, "test accuracy", accuracy, percent=True))
    return Comparison(a.name, b.name, loss, under, variance, saved, accuracy, reasons, caveats, verdicts)


def paired_losses(a: Arm, b: Arm) -> list[tuple[Series, Series]]:
    """The training losses of A and B on the same batches, a pair a repeat; none where they did not see the same."""
    pairs = list(zip(a.records, b.records, strict=True))
    if any(_other_batches(*pair) for pair in pairs):
        return []
    return [_same_steps(one.column("loss"), other.column("loss")) for one, other in pairs]


def _shares(results: Sequence[tuple[Any, Any]]) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """How many test examples A and B had right by the mean of their repeats, and out of how many.

    Repeats share test examples, so they do not count as more of these.
    """
    if not all(each is not None and each.accuracy is not None for pair in results for each in pair):
        return None
    examples = min(each.examples for pair in results for each in pair)
    if not examples:
        return None
    right = [round(examples * float(np.mean([pair[arm].accuracy for pair in results]))) for arm in (0, 1)]
    return (right[0], right[1]), (examples, examples)


def _same_steps(a: Series, b: Series) -> tuple[Series, Series]:
    n = min(len(a), len(b))
    return a[:n], b[:n]


def _timed(a: Record, b: Record) -> tuple[Series, Series]:
    """Seconds of the steps of both runs: of the same steps, where they have as many in each phase.

    Where one came to its end with fewer steps than the other, both are divided into as many stretches of equal length.
    """
    warm_a, warm_b = _warm(a), _warm(b)
    if _lengths(a) == _lengths(b) and len(warm_a) == len(warm_b):
        warm_a = warm_b = warm_a & warm_b
    seconds = a.column("seconds")[warm_a], b.column("seconds")[warm_b]
    if {a.status, b.status} != {"done"}:
        return _same_steps(*seconds)
    fewer = min(map(len, seconds))
    return _stretches(seconds[0], fewer), _stretches(seconds[1], fewer)


def _stretches(seconds: Series, count: int) -> Series:
    """The time of each of so many stretches of a course of steps, (count,); all of it together stays."""
    if len(seconds) == count:
        return seconds
    passed = np.concatenate([[0.0], np.cumsum(seconds)])
    found: Series = np.diff(np.interp(np.linspace(0, len(seconds), count + 1), np.arange(len(passed)), passed))
    return found


def _lengths(one: Record) -> list[int]:
    return [phase.steps for phase in one.history.phases]


def _once(a: Arm, b: Arm) -> tuple[float, float]:
    """Seconds that A and B need for features that are kept, as if each had none.

    One run computes them and the others find them there, so each is charged what any run took for the same ones.
    """
    took: dict[tuple[str, ...], float] = {}
    uses: list[list[tuple[str, ...]]] = [[], []]
    for used, arm in zip(uses, (a, b), strict=True):
        for number, each in enumerate(arm.records):
            for phase, ended in zip(each.history.phases, each.history.ended_phases, strict=False):
                key = (
                    tuple(phase.cache.layers) if phase.cache and phase.cache.cached else ("none", arm.name, phase.phase)
                )
                took[key] = max(took.get(key, 0.0), ended.preparing + ended.spared)
                if number == 0 and key not in used:
                    used.append(key)
    return sum(took[key] for key in uses[0]), sum(took[key] for key in uses[1])


def _other_batches(a: Record, b: Record) -> str | None:
    """Why the losses of two runs cannot be paired; None when they can."""
    if not len(a.history.steps) or not len(b.history.steps):
        return "a run made no steps"
    if a.settings.get("model.head") != b.settings.get("model.head"):
        return "the runs have losses of different kinds: model.head differs"
    differing = [key for key in _differences([a, b]) if _decides_batches(key)]
    seen = _batches(a), _batches(b)
    if None in seen:  # a run that goes on, or was killed: its recipe has to do
        return f"the runs did not see the same batches: {', '.join(differing)} differ" if differing else None
    if seen[0] != seen[1]:
        why = f": {', '.join(differing)} differ" if differing else ""
        return f"the runs did not see the same batches{why}"
    return None


def _batches(one: Record) -> list[str] | None:
    """Hashes of what a run saw in each phase; None when it did not come to tell."""
    ended = one.history.ended_phases
    if len(ended) < len(one.history.phases) or not all(phase.batches for phase in ended):
        return None
    return [phase.batches for phase in ended]


@dataclass(frozen=True)
class Fairness:
    """Whether the arms of an experiment are comparable, and by which hashes.

    arms: their names; weights, pretrained, batches: for each repeat the hashes that the arms' runs told, of all their
    first weights, of those that no new head holds, and of their examples in order. None for a run that did not come to
    tell.
    """

    arms: list[str]
    weights: list[list[str | None]]
    pretrained: list[list[str | None]]
    batches: list[list[str | None]]

    def sentences(self) -> list[str]:
        """What the hashes show."""
        same, other = "began from bitwise the same weights", "did not begin from the same weights"
        told = [self._told(self.weights, same, other)]
        if self._differing(self.weights):
            same = "began from bitwise the same pretrained weights; what differs is a new head"
            told.append(self._told(self.pretrained, same, "did not begin from the same pretrained weights"))
        same, other = "saw the same examples in the same order", "did not see the same examples in the same order"
        return [*told, self._told(self.batches, same, other)]

    def table(self) -> dict[str, Any]:
        """As JSON has it: what was hashed, repeat by repeat, an arm with its hash."""
        found = {"weights": self.weights, "pretrained": self.pretrained, "batches": self.batches}
        return {name: [dict(zip(self.arms, each, strict=True)) for each in repeats] for name, repeats in found.items()}

    def _differing(self, repeats: list[list[str | None]]) -> dict[str, list[int]]:
        """The arms that differ from the first, and in which repeats, counted from 1."""
        found: dict[str, list[int]] = {}
        for number, (first, *others) in enumerate(repeats, 1):
            for arm, each in zip(self.arms[1:], others, strict=True):
                if each != first:
                    found.setdefault(arm, []).append(number)
        return found

    def _told(self, repeats: list[list[str | None]], same: str, other: str) -> str:
        if any(None in each for each in repeats):
            return f"Whether all arms {same} is not known: a run ended before it told."
        if differ := self._differing(repeats):
            listed = [
                arm if len(repeats) == 1 else f"{arm} (repeat {', '.join(map(str, numbers))})"
                for arm, numbers in differ.items()
            ]
            return f"Against {self.arms[0]} these {other}: {', '.join(listed)}."
        hashes = ", ".join(str(each[0])[:12] for each in repeats)
        return f"All arms {same} ({'hash' if len(repeats) == 1 else 'hashes, one a repeat:'} {hashes})."


def fairness(arms: Sequence[Arm]) -> Fairness:
    """Compare the hashes of all arms, repeat by repeat."""
    found = Fairness([arm.name for arm in arms], [], [], [])
    for runs in zip(*(arm.records for arm in arms), strict=True):
        models = [each.history.model for each in runs]
        found.weights.append([(model and model.digest) or None for model in models])
        found.pretrained.append([(model and model.pretrained) or None for model in models])
        found.batches.append(["+".join(seen) if (seen := _batches(each)) else None for each in runs])
    return found


def _decides_batches(key: str) -> bool:
    return key.startswith(_BATCHES) or (key.startswith("phase.") and key.rpartition(".")[2] in _BATCHES_OF_PHASE)


def _other_machine(a: Record, b: Record) -> str | None:
    """Why the times of two runs cannot be compared; None when they can."""
    if max(_together(a), _together(b)) > 1:
        return "the runs went on beside others, which took turns at the machine (--jobs)"
    for name in ("processor", "cores", "platform"):
        if a.facts.get(name) != b.facts.get(name):
            return f"the runs are from different machines: {a.facts.get(name)} and {b.facts.get(name)}"
    return None


def _crowding(pairs: Sequence[tuple[Record, Record]]) -> str | None:
    """What others computed while the runs trained, where it was enough to tell on their times; None where not."""
    shares = [
        [max((phase.others for each in pair for phase in each.history.ended_phases), default=0.0) for pair in sides]
        for sides in ([(a,) for a, _ in pairs], [(b,) for _, b in pairs])
    ]
    most = [max(each, default=0.0) for each in shares]
    if max(most) <= _CROWDED:
        return None
    return "other processes took {:.0%} and {:.0%} of the cores' time while the runs trained".format(*most)


def _together(one: Record) -> int:
    """How many runs of its experiment went on at once."""
    jobs = one.facts.get("jobs", 1)
    return jobs if isinstance(jobs, int) else 1


def all_compared(arms: Sequence[Arm]) -> list[Comparison]:
    """Each later arm against the first."""
    return [compared(arms[0], arm) for arm in arms[1:]]


def told(arms: Sequence[Arm]) -> dict[str, Any]:
    """Arms side by side as JSON has it: each run's metrics, differing keys, and each later arm against the first."""
    return {
        "runs": [
            {"name": arm.name, "run": str(each.run.folder)} | metrics(each) for arm in arms for each in arm.records
        ],
        "differences": differences(arms),
        "comparisons": [each.table() for each in all_compared(arms)],
    }
