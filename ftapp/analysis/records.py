"""Runs as their folders tell them, one by one and as arms: settings, results, and columns of steps."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp import recipe
from ftapp.analysis import statistics
from ftapp.analysis.statistics import Interval, Series
from ftapp.common.errors import RecipeError
from ftapp.experiments.experiment_folder import Experiment
from ftapp.recipe.metrics import KNOWN, sort_names
from ftapp.recipe.raw_tables import DESCRIPTIVE_KEYS, flatten_tables
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder

WARM_UP = 3
"""Steps at the beginning of each phase, in which functions are compiled, that no comparison of times counts."""


# Nor steps that took so many times the median: something was compiled anew, as for the first batch of another shape.
_COMPILED = 8.0


@dataclass(frozen=True)
class Record:
    """A run as its folder tells it.

    name: what to call it among others; settings: the keys of its resolved recipe, flat and dotted, empty when it cannot
    be read; facts: its `environment.json`; round: its repeat or fold in an experiment with several, "" for none.
    """

    name: str
    run: RunFolder
    status: str
    history: History
    settings: dict[str, Any]
    facts: dict[str, Any]
    round: str = ""

    @property
    def title(self) -> str:
        """The recipe's title, or the run's folder."""
        return str(self.settings.get("title", self.run.folder.name))

    def column(self, name: str) -> Series:
        """A column of the run's steps, float64 (steps,), read-only."""
        column = np.asarray(self.history.steps.column(name), np.float64)
        column.setflags(write=False)
        return column


def read_record(run: RunFolder, name: str | None = None, of: str = "") -> Record:
    """Read a run's files. name: what to call it, else its folder's name; of: its repeat or fold, if there are several.

    A name is followed by that.
    """
    history, called = run.history(), name or run.folder.name
    called = f"{called}, {of}" if of else called
    return Record(called, run, run.status(history), history, _read_settings(run), run.environment(), of)


_LETTERED = re.compile(r"[A-Z] (?=.)")


@dataclass(frozen=True)
class Arm:
    """One of the things that are compared: a run, or the runs of an experiment's arm, one a round.

    folds: how many folds of cross-validation the rounds are of; 0 where they are repeats with other seeds.
    """

    name: str
    records: tuple[Record, ...]
    folds: int = 0

    @property
    def overlap(self) -> float | None:
        """Test examples over training examples, where the rounds are folds; None for seeds."""
        if not self.folds:
            return None
        sizes = [(data.test, data.train) for each in self.records if (data := each.history.data) and data.train]
        return float(np.mean([test / train for test, train in sizes])) if sizes else 1 / (self.folds - 1)


def read_arms(found: Sequence[RunFolder]) -> list[Arm]:
    """Runs as arms of their own, called by letters and what they are: the arm, or the recipe.

    Arms whose names begin with letters of their own, such as "A full" and "B targeted", keep these where they differ.
    Runs of different folds of one recipe are one arm.
    """
    records = [read_record(run) for run in found]
    if folds := _find_folds(records):
        name = _name_run(folds[0].run)
        named = [(each, f"fold {each.settings['data.fold']}") for each in folds]
        repeats = tuple(replace(each, name=f"{name}, {of}", round=of) for each, of in named)
        return [Arm(name, repeats, folds[0].settings["data.folds"])]
    letters = string.ascii_uppercase
    names = [_name_run(run) for run in found]
    own = [name[0] if _LETTERED.match(name) else "" for name in names]
    if "" in own or len(set(own)) < len(own):
        names = [
            f"{letters[index % 26] * (index // 26 + 1)} {_LETTERED.sub('', name)}" for index, name in enumerate(names)
        ]
    return [Arm(name, (replace(each, name=name),)) for name, each in zip(names, records, strict=True)]


def read_experiment(experiment: Experiment) -> list[Arm]:
    """The arms of an experiment with the runs of the rounds that all of them have."""
    facts, arms = experiment.facts, []
    folds = facts.get("folds", 0)
    for name, found in experiment.group_runs().items():
        several = folds or len(found) > 1
        records = [
            read_record(run, name, each.describe(facts.get("repeats", 1)) if several else "")
            for each, run in found.items()
        ]
        arms.append(Arm(name, tuple(records), folds))
    return arms


def _find_folds(found: Sequence[Record]) -> list[Record]:
    """Find the runs of different folds that differ in nothing else, in the order of the folds; none for other runs."""
    folds = compare_settings(found)
    numbers = folds.pop("data.fold", [])
    if folds or None in numbers or len(set(numbers)) < max(2, len(found)):
        return []
    return sorted(found, key=lambda each: each.settings["data.fold"])


def _name_run(run: RunFolder) -> str:
    facts = run.environment()
    name: str = facts.get("arm") or facts.get("recipe") or run.folder.name
    return name


def _read_settings(run: RunFolder) -> dict[str, Any]:
    try:
        raw = recipe.read(run.recipe_file)
    except RecipeError:
        return {}
    phases = raw.get("phase", [])
    if isinstance(phases, list):
        named = [phase for phase in phases if isinstance(phase, dict)]
        raw["phase"] = {str(phase.pop("name", index)): phase for index, phase in enumerate(named)}
    return flatten_tables(raw)


def find_differences(arms: Sequence[Arm]) -> dict[str, list[Any]]:
    """Find the keys in which the arms' recipes differ, as `compare_settings` does."""
    return compare_settings([arm.records[0] for arm in arms])


def compare_settings(found: Sequence[Record]) -> dict[str, list[Any]]:
    """Find the keys in which recipes differ, with the value of each; None where a recipe has none. Titles apart."""
    keys = dict.fromkeys(key for each in found for key in each.settings if key not in DESCRIPTIVE_KEYS)
    values = {key: [each.settings.get(key) for each in found] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def measure_run(one: Record) -> dict[str, float | int | str | None]:
    """What a run gave and took, by name; None where it is not known.

    `best_step` is the step whose weights the model has, where they are the best ones and not those of the last step.
    Times are in seconds, `step_seconds` is the median without the first steps of each phase, memory is in bytes.
    """
    history, result = one.history, one.history.result
    seconds = one.column("seconds")[find_warm_steps(one)]
    spent = {
        name: sum(getattr(phase, name) for phase in history.ended_phases) if history.ended_phases else None
        for name in ("preparing", "training", "evaluating")
    }
    return {
        "status": one.status,
        **{f"test_{name}": result.value(name) if result else None for name in sort_names((*KNOWN, *history.metrics))},
        "trainable_share": history.trainable_share,
        "token_share_before": _average_share(history, 0),
        "token_share_after": _average_share(history, -1),
        "steps": len(history.steps),
        "best_step": history.kept.best_step if history.kept else None,
        "seconds": history.ended.seconds if history.ended else None,
        **spent,
        "step_seconds": float(np.median(seconds)) if len(seconds) else None,
        "peak_memory": max(history.steps.memory, default=None),
        "seed": history.started.seed if history.started else None,
        "backend": history.started.backend if history.started else None,
        "precision": history.started.precision if history.started else None,
    }


def _average_share(history: History, place: int) -> float | None:
    if len(history.token_shares) < 2:
        return None
    known = [share for share in history.token_shares[place].shares if share is not None]
    return float(np.mean(known)) if known else None


def collect_drift(history: History, what: str) -> tuple[list[str], Series, Series]:
    """How far each layer's weights have gone: layers (n,), steps (m,), and values (n, m), NaN where there is none.

    what: `since_start` or `last_step`, as in `Drifted`.
    """
    drifts = [each for each in history.drifts if getattr(each, what) is not None]
    names = list(dict.fromkeys(name for each in drifts for name in getattr(each, what)))
    values = np.full((len(names), len(drifts)), np.nan)
    place = {name: index for index, name in enumerate(names)}
    for column, each in enumerate(drifts):
        for name, value in getattr(each, what).items():
            values[place[name], column] = math.nan if value is None else value
    known = ~np.isnan(values).all(axis=1)
    steps = np.array([each.step for each in drifts], np.float64)
    return [name for name, is_known in zip(names, known, strict=True) if is_known], steps, values[known]


def measure_token_share_gain(one: Record) -> Interval | None:
    """How much the share p of common tokens in what a run wrote grew over its training; None where it was not measured.

    The interval is Welch's over the texts.
    """
    shares = one.history.token_shares
    if len(shares) < 2:
        return None
    before, after = ([share for share in each.shares if share is not None] for each in (shares[0], shares[-1]))
    return statistics.estimate_mean_difference(before, after) if min(len(before), len(after)) >= 2 else None


def find_warm_steps(one: Record) -> NDArray[np.bool_]:
    """Which steps compiled nothing: bool (steps,)."""
    steps, seconds = one.column("step"), one.column("seconds")
    warm = np.ones(len(steps), bool)
    phases = one.history.phases
    ends = [*(phase.first_step for phase in phases[1:]), math.inf]  # a phase may have ended early
    for phase, end in zip(phases, ends, strict=False):
        inside = (steps >= phase.first_step) & (steps < end)
        begins = inside & (steps < phase.first_step + WARM_UP)
        rest = inside & ~begins
        if rest.any():
            warm &= ~(rest & (seconds > _COMPILED * np.median(seconds[rest])))
        warm &= ~begins
    return warm
