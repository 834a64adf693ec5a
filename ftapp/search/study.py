"""The study of a sweep, which Optuna keeps in the experiment's folder: what is tried next, and what promises nothing.

The sampler is the tree-structured Parzen estimator (Bergstra et al. 2011, "Algorithms for Hyper-Parameter
Optimization"). Its seed follows from the recipe's and the number of trials, so that a sweep that goes on proposes what
it would have proposed. A trial is pruned by the median rule (Golovin et al. 2017, "Google Vizier", section 3.2.2).
"""

from __future__ import annotations

import itertools
import math
import random
import sqlite3
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from ftapp.common.errors import RunError
from ftapp.common.formatting import format_quantity
from ftapp.recipe.metrics import Metric
from ftapp.recipe.spaces import Space
from ftapp.recipe.toml_text import format_value

_NAME = "sweep"
_ARM = "arm"  # the attribute of a trial that names its arm
_MOST_RANDOM, _LEAST_RANDOM = 10, 4  # trials at random, before the sampler learns from them: a third of all
_JUDGES = 4  # trials that have come to their end, before one is pruned
_ALIKE = 3  # of these, those that were evaluated after the same steps
_LISTED = 10_000  # settings up to which all of them are listed to find those that are left
_TRIES = 50  # proposals of known settings in a row, after which it is taken that there are no others
_FEWEST = 8  # trials from which importances are told


@dataclass(frozen=True)
class Asked:
    """A trial that goes on.

    Attributes:
        trial: Optuna's.
        values: The values to try, by key.
        reports: Its evaluations so far, by position.
    """

    trial: optuna.Trial
    values: dict[str, Any]
    reports: dict[int, float] = field(default_factory=dict)


@contextmanager
def explain_faults(file: Path) -> Iterator[None]:
    """Say what can be done where the file of a study cannot be read or written.

    Args:
        file: The file.

    Raises:
        RunError: It cannot.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        # Optuna's own message tells less than that of the database, which it hides behind it.
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        reason = str(cause).partition("\n")[0]
        advice = "delete it: the results are in the folders of the runs, and a new study reads them there"
        if "locked" in reason:
            advice = "another program works on it; end that, and go on with 'ftapp sweep --resume'"
        elif "full" in reason:
            advice = "make room, and go on with 'ftapp sweep --resume'"
        raise RunError(f"the study of the sweep, {file}, cannot be used: {reason}; {advice}") from error


class SweepStudy:
    """The study of one sweep. One process works on it at a time.

    Attributes:
        file: The file of the study.
    """

    def __init__(
        self, file: Path, spaces: Mapping[str, Space], metric: Metric, seed: int, trials: int, *, prunes: bool
    ) -> None:
        """Open the study, which is made if need be.

        Args:
            file: The file of the study.
            spaces: The values to try, by key.
            metric: The metric that is to become best.
            seed: The seed of the recipe.
            trials: How many trials are planned.
            prunes: Whether trials are pruned.

        Raises:
            RunError: The file cannot be read or written.
        """
        self.file = file
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Through `creator`, since a path may hold signs that mean something in a URL.
        options = {"creator": lambda: sqlite3.connect(file, check_same_thread=False)}
        pruner = optuna.pruners.MedianPruner(n_startup_trials=_JUDGES, n_min_trials=_ALIKE)
        with explain_faults(file):
            try:
                storage = optuna.storages.RDBStorage(f"sqlite:///{file.name}", engine_kwargs=options)
            except RuntimeError as error:  # a newer Optuna has written it
                raise RunError(f"the study of the sweep, {file}, cannot be used: {error}") from error
            self._study = optuna.create_study(
                storage=storage,
                study_name=_NAME,
                direction="minimize" if metric.is_lower_better else "maximize",
                pruner=pruner if prunes else optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
        self._spaces, self._metric, self._seed = dict(spaces), metric, seed
        self._random = min(_MOST_RANDOM, max(_LEAST_RANDOM, trials // 3))
        self._distributions = {key: _make_distribution(space) for key, space in spaces.items()}

    def list_settled(self) -> dict[str, dict[str, Any]]:
        """List the arms whose results are in the study; trials that a process has left without one are given up.

        Returns:
            The values by arm. Values that are not valid together have an arm and no run.
        """
        found = {}
        for trial in self._study.get_trials(deepcopy=False):
            if not trial.state.is_finished():
                self._study.tell(trial.number, state=TrialState.FAIL)
            elif trial.state != TrialState.FAIL:
                found[str(trial.user_attrs.get(_ARM))] = self._read(trial.params)
        return found

    def ask(self, arm: str, known: Sequence[Mapping[str, Any]]) -> Asked | None:
        """Propose values that were not tried yet.

        Args:
            arm: The name of the new arm.
            known: The values of all arms so far.

        Returns:
            The trial; None where all values were tried.
        """
        listed = self._list_settings()
        left = None if listed is None else [values for values in listed if values not in known]
        if left is not None and not left:
            return None
        for _ in range(_TRIES):
            number = len(self._study.get_trials(deepcopy=False))
            self._study.sampler = optuna.samplers.TPESampler(
                seed=(self._seed + number) % 2**32, n_startup_trials=self._random
            )
            asked = self._begin(arm)
            if asked.values not in known:
                return asked
            self._study.tell(asked.trial, state=TrialState.FAIL)
            if left:
                self._enqueue(random.Random(self._seed + number).choice(left))
        return None

    def ask_again(self, arm: str, values: Mapping[str, Any]) -> Asked:
        """Take up a trial that a former process has left without a result.

        Args:
            arm: The name of its arm.
            values: Its values, which lie in the spaces.
        """
        self._enqueue(values)
        return self._begin(arm)

    def fits(self, values: Mapping[str, Any]) -> bool:
        """Tell whether values lie in the spaces, so that the study can learn from them."""
        return all(key in values and space.contains(values[key]) for key, space in self._spaces.items())

    def report(self, asked: Asked, position: int, value: float) -> str | None:
        """Take an evaluation of a trial that goes on.

        Args:
            asked: The trial.
            position: The planned steps before it.
            value: The metric.

        Returns:
            Why the trial promises nothing; None where it may go on.
        """
        asked.trial.report(value, position)
        asked.reports[position] = value
        if not asked.trial.should_prune():
            return None
        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        others = [each.intermediate_values[position] for each in done if position in each.intermediate_values]
        best, median = map(
            self._metric.format_plain, (self._metric.choose_best(asked.reports.values()), statistics.median(others))
        )
        return (
            f"pruned: the best validation {self._metric.label} so far, {best}, is worse than the median of "
            f"{format_quantity(len(others), 'trial')} after the same steps, {median}"
        )

    def tell(self, asked: Asked, value: float | None) -> None:
        """Take the result of a trial.

        Args:
            asked: The trial.
            value: The metric; None where the run failed or was pruned, which tells the sampler that it is bad.
        """
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        self._study.tell(asked.trial, value, state=state)

    def add(self, arm: str, values: Mapping[str, Any], value: float | None, reports: Mapping[int, float]) -> None:
        """Take a trial that the study has not asked for.

        Args:
            arm: The name of its arm.
            values: Its values, which lie in the spaces.
            value: The metric; None as in `tell`.
            reports: Its evaluations by position.
        """
        trial = create_trial(
            state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
            value=value,
            params=self._write(values),
            distributions=self._distributions,
            intermediate_values=dict(reports),
            user_attrs={_ARM: arm},
        )
        self._study.add_trial(trial)

    def measure_importances(self) -> dict[str, float]:
        """Measure which share of the metric's variance over the trials each key explains.

        By functional analysis of variance (Hutter, Hoos and Leyton-Brown 2014, "An Efficient Approach for Assessing
        Hyperparameter Importance"), over the trials that came to their end.

        Returns:
            The shares by key, the largest first; empty with few trials, one key, or where all gave the same.
        """
        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(self._spaces) < 2 or len(done) < _FEWEST or len({each.value for each in done}) < 2:
            return {}
        return get_param_importances(self._study, evaluator=FanovaImportanceEvaluator(seed=self._seed))

    def _begin(self, arm: str) -> Asked:
        trial = self._study.ask(self._distributions)
        trial.set_user_attr(_ARM, arm)
        return Asked(trial, self._read(trial.params))

    def _enqueue(self, values: Mapping[str, Any]) -> None:
        self._study.enqueue_trial(self._write(values))

    def _read(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Turn Optuna's parameters into values of the recipe's keys."""
        return {
            key: next(choice for choice in space.choices if format_value(choice) == params[key])
            if space.kind == "choices"
            else space.round(params[key])
            for key, space in self._spaces.items()
        }

    def _write(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn values of the recipe's keys into Optuna's parameters."""
        return {
            key: format_value(space.choices[space.choices.index(values[key])])  # 99.0 of a recipe is the choice 99
            if space.kind == "choices"
            else values[key]
            for key, space in self._spaces.items()
        }

    def _list_settings(self) -> list[dict[str, Any]] | None:
        """List all settings; None where there are too many."""
        sizes = [space.size for space in self._spaces.values()]
        if None in sizes or math.prod(size for size in sizes if size is not None) > _LISTED:
            return None
        ranges = [
            space.choices if space.kind == "choices" else range(int(space.low), int(space.high) + 1)
            for space in self._spaces.values()
        ]
        return [dict(zip(self._spaces, values, strict=True)) for values in itertools.product(*ranges)]


def _make_distribution(space: Space) -> BaseDistribution:
    match space.kind:
        case "choices":
            return CategoricalDistribution([format_value(choice) for choice in space.choices])
        case "int":
            return IntDistribution(int(space.low), int(space.high))
        case _:
            return FloatDistribution(space.low, space.high, log=space.kind == "log")
