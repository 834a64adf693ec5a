"""A sweep as its folder has it: the search, then the best trials and the recipe's own values over new seeds.

All that a sweep needs to go on is in its folder: runs that were cut off go on from their checkpoints, and results that
the study does not have are added to it.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from ftapp.common.durations import parse_duration
from ftapp.common.errors import RecipeError
from ftapp.common.formatting import format_quantity
from ftapp.experiments.arms import schedule
from ftapp.experiments.experiment_folder import Experiment, Member
from ftapp.experiments.member import make_member
from ftapp.experiments.slots import CUT_OFF, Slots, Watcher, request_stop
from ftapp.experiments.sweep.prepare import apply_values, read_value
from ftapp.experiments.sweep.search import Search
from ftapp.experiments.sweep.trials import (
    OWN,
    SEARCH,
    SweepTrial,
    choose_finalists,
    is_of_search,
    list_search,
    make_trial,
    rank_trials,
    read_trial,
    read_trials,
)
from ftapp.runs.event_types import Status
from ftapp.runs.events import AnyEvent
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.history import History
from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import Launcher
from ftapp.runs.phase_events import Evaluated
from ftapp.runs.run_folder import RunFolder, remove_refused
from ftapp.search.study import Asked, SweepStudy, explain_faults

_FAILURES = 5  # trials that fail before one has a result, after which the sweep ends
# Keys with which trials make other steps, so that results after as many steps tell nothing.
_STEPS = ("batch_size", "steps", "epochs", "accumulate")


def run_sweep(experiment: Experiment, launcher: Launcher, interruption: Interruption, *, debug: bool) -> int:
    """Carry a sweep out, or go on with it.

    Args:
        experiment: The sweep.
        launcher: Starts the runs.
        interruption: Tells when the user wants it to end.
        debug: Whether the output of runs that did not end well is shown.

    Returns:
        The exit code: 130 if interrupted, 75 if unfinished, 1 if trials failed and none has a result, 2 if the data
        were refused, else 0.

    Raises:
        RecipeError: The recipe in the folder is not valid.
        RunError: The study in the folder cannot be read or written.
    """
    print(f"sweep {experiment.folder}", file=sys.stderr)
    sweep = _Sweep(experiment, launcher, interruption, debug=debug)
    with explain_faults(sweep.study.file):
        sweep.search()
    searched = sweep.searched  # also where no trial has come to its end, as in short slices of a batch system
    if sweep.status == "done":
        sweep.compare()
    with interruption.excuse_full_disk("the end of the sweep"):
        _write_search(experiment, status=sweep.status, searched=searched)
    return EXIT_CODES[sweep.status]


class _Sweep:
    """A sweep that goes on.

    Attributes:
        of: What it searches.
        trials: The trials that have ended, by arm.
    """

    def __init__(self, experiment: Experiment, launcher: Launcher, interruption: Interruption, *, debug: bool) -> None:
        facts = experiment.facts
        self.experiment, self.of = experiment, Search.of(experiment)
        self._facts, self._interruption = facts, interruption
        self._slots = Slots(experiment, facts["jobs"], launcher, interruption, debug=debug)
        table = self.of.sweep
        self._prunes = table.pruning == "median" and not any(key.rpartition(".")[2] in _STEPS for key in table.over)
        self.study = SweepStudy(
            experiment.folder / "study.db",
            self.of.spaces,
            self.of.metric,
            self.of.base.seed,
            table.trials,
            prunes=self._prunes,
        )
        self._own = {key: read_value(self.of.base, key) for key in self.of.spaces}
        self.trials: dict[str, SweepTrial] = {}
        self._begun = time.monotonic()
        self._searched: float = facts["sweep"]["searched"]
        self._refused = False
        self._number = 0  # of the next arm
        _write_search(experiment, status=None)

    @property
    def status(self) -> Status:
        """The status of the sweep, at its end."""
        if self._interruption.status:
            return self._interruption.status
        if self._refused:
            return "refused"
        return "done" if any(each.value is not None for each in self.trials.values()) else "failed"

    def search(self) -> None:
        """Try settings until there are enough, the time is over, or all were tried."""
        if not self._prunes and self.of.sweep.pruning != "none":
            print("nothing is pruned, since trials differ in the size or number of their steps", file=sys.stderr)
        known = self._take_up()
        while not self._is_over(len(known)) and self._slots.wait_for_room() and not self._is_over(len(known)):
            arm = f"trial {self._number}" if known else OWN
            self._number += 1
            asked = self.study.ask(arm, known) if known else None
            if known and asked is None:
                print(f"all {len(known)} settings were tried", file=sys.stderr)
                break
            values = asked.values if asked else self._own
            known.append(values)
            self._start_trial(arm, values, asked)
        self._slots.wait_for_all()

    def _take_up(self) -> list[dict[str, Any]]:
        """Take up what a former process has left, and return the values of all arms so far."""
        settled, members = self.study.list_settled(), list_search(self.experiment)
        for member in members:
            status = member.run.status()
            if member.arm in settled or status not in CUT_OFF:
                trial = self.trials[member.arm] = read_trial(member, self.of.metric.name)
                if member.arm not in settled and self.study.fits(member.values):
                    reports = _list_reports(member.run.history(), self.of.metric.name)
                    self.study.add(member.arm, member.values, trial.value, reports)
                continue
            if not self._slots.wait_for_room():
                break
            asked = None if member.arm == OWN else self.study.ask_again(member.arm, member.values)
            self._go_on(member, _TrialWatcher(self, member, asked))
        values = settled | {member.arm: dict(member.values) for member in members}
        self._number = max((int(arm.rpartition(" ")[2]) for arm in values if arm != OWN), default=0) + bool(values)
        return list(values.values())

    def _is_over(self, started: int) -> bool:
        """Tell whether no further trial starts."""
        if started >= self.of.sweep.trials or self._refused or self._interruption.requested:
            return True
        if len(self.trials) >= _FAILURES and all(each.value is None for each in self.trials.values()):
            print(f"the first {len(self.trials)} trials have no result, so the sweep ends", file=sys.stderr)
            return True
        limit = parse_duration(self.of.sweep.time) if self.of.sweep.time else math.inf
        if self.searched >= limit:
            print(f"the time of the search, {self.of.sweep.time}, is over", file=sys.stderr)
            return True
        return False

    @property
    def searched(self) -> float:
        """How long the search has gone on, in seconds, all processes together."""
        return self._searched + time.monotonic() - self._begun

    def _start_trial(self, arm: str, values: dict[str, Any], asked: Asked | None) -> None:
        """Start the run of a trial."""
        try:
            resolved = self.of.base if arm == OWN else apply_values(self.experiment, values)
        except RecipeError as error:  # values that are valid alone and not together
            print(f"{arm}: {error}", file=sys.stderr)
            if asked:
                self.study.tell(asked, None)
            return
        made = make_member(self.experiment, arm, SEARCH, resolved, values=values)
        member = Member(arm, SEARCH, made.run, values)
        self._slots.start(made.run, self._introduce(member), made.environment, _TrialWatcher(self, member, asked))

    def _go_on(self, member: Member, watcher: Watcher) -> None:
        """Go on with a run that was cut off; one that cannot go on has no result."""
        self._slots.resume(member.run, self._introduce(member), watcher, offline=self._facts["offline"])

    def _introduce(self, member: Member) -> str:
        """Return what to call a run in its narration; among others, its values are told once, before its lines."""
        if member.round != SEARCH:
            return f"{member.arm}, new seed {member.round.repeat - 1}"
        changes = ", ".join(SweepTrial(member.arm, member.values, member.run, "").changes) or "its own values"
        if self._facts["jobs"] == 1:
            return f"{member.arm}: {changes}"
        print(f"{member.arm}: {changes}", file=sys.stderr)
        return member.arm

    def end_trial(self, member: Member, trial: SweepTrial, asked: Asked | None, reports: dict[int, float]) -> None:
        """Take the result of a trial, unless it was cut off.

        Args:
            member: Its run.
            trial: The trial.
            asked: What the study knows of it; None of the recipe's own values.
            reports: Its evaluations, by position.
        """
        if trial.status in CUT_OFF and self._interruption.requested:
            return
        self.trials[trial.arm] = trial
        if asked:
            self.study.tell(asked, trial.value)
        elif self.study.fits(trial.values):
            self.study.add(trial.arm, trial.values, trial.value, reports)
        if trial.status == "refused" and trial.arm == OWN:
            self._refused = True
            self.experiment.refuse(trial.run, trial.why)
        _write_search(self.experiment, searched=self.searched)
        self._narrate(trial)

    def _narrate(self, trial: SweepTrial) -> None:
        metric, ranked = self.of.metric, rank_trials(self.trials.values(), self.of.metric)
        if trial.value is None:
            why = trial.why.removeprefix(f"{trial.status}: ")
            outcome = f"{trial.status}{f': {why}' if why else ''}"
        else:
            outcome = f"validation {metric.label} {metric.format_plain(trial.value)}"
        best = f"; the best so far is {ranked[0].arm}, {metric.format_plain(ranked[0].value or 0.0)}" if ranked else ""
        print(f"{trial.arm}: {outcome}{best}", file=sys.stderr)

    def compare(self) -> None:
        """Run the best trials and the recipe's own values with new seeds."""
        finalists = choose_finalists(
            read_trials(self.experiment, self.of.metric.name), self.of.metric, self.of.sweep.finalists
        )
        arms = [OWN, *(each.arm for each in finalists)] if finalists else []
        facts = self.experiment.facts
        rounds = self.experiment.list_rounds()
        planned = len(list_search(self.experiment)) + len(arms) * len(rounds)
        facts["sweep"]["planned"] = planned
        self.experiment.write_facts(facts | {"arms": arms or [OWN]})
        if not finalists:
            return
        values = {each.arm: dict(each.values) for each in finalists} | {OWN: self._own}
        known = {(member.arm, member.round): member for member in self.experiment.list_members()}
        left = [
            (of, arm)
            for of, arm in schedule(arms, rounds)
            if (arm, of) not in known or known[arm, of].run.status() in CUT_OFF
        ]
        if left:
            names = f"{', '.join(each.arm for each in finalists)} and the recipe's own values"
            print(f"\n{names} are run with {format_quantity(len(rounds), 'new seed')}", file=sys.stderr)
        else:
            print("nothing is left to run: the sweep has come to its end", file=sys.stderr)
        for of, arm in left:
            if not self._slots.wait_for_room():
                break
            if member := known.get((arm, of)):
                self._go_on(member, Watcher())
                continue
            resolved = self.of.base if arm == OWN else apply_values(self.experiment, values[arm])
            made = make_member(self.experiment, arm, of, resolved, values=values[arm])
            name = self._introduce(Member(arm, of, made.run, values[arm]))
            self._slots.start(made.run, name, made.environment, Watcher())
        self._slots.wait_for_all()


class _TrialWatcher(Watcher):
    """Reports the evaluations of a trial, and ends it where it promises nothing."""

    def __init__(self, sweep: _Sweep, member: Member, asked: Asked | None) -> None:
        self._sweep, self._member, self._asked = sweep, member, asked
        self._reports: dict[int, float] = {}
        self._is_pruned = False

    def on_event(self, run: RunFolder, event: AnyEvent, history: History) -> None:
        """Report an evaluation."""
        if not isinstance(event, Evaluated) or not is_of_search(event):
            return
        value, position = event.value(self._sweep.of.metric.name), _find_position(event, history)
        if value is None or not math.isfinite(value) or position in self._reports:
            return
        self._reports[position] = value
        if self._asked and not self._is_pruned and (because := self._sweep.study.report(self._asked, position, value)):
            self._is_pruned = True
            request_stop(run, because)

    def on_end(self, run: RunFolder, status: str, history: History) -> None:
        """Tell the result."""
        trial = make_trial(self._member, status, history, self._sweep.of.metric.name)
        remove_refused(run, history)
        self._sweep.end_trial(self._member, trial, self._asked, self._reports)


def _find_position(evaluation: Evaluated, history: History) -> int:
    """Return the planned steps before an evaluation: those of a phase that has ended early count whole."""
    phases = history.phases
    if not phases:
        return evaluation.step
    return sum(phase.steps for phase in phases[:-1]) + evaluation.step - phases[-1].first_step + 1


def _list_reports(history: History, metric: str) -> dict[int, float]:
    """List the evaluations of a run that has ended by position, where all phases had their planned steps."""
    planned = all(
        ended.steps == phase.steps for phase, ended in zip(history.phases, history.ended_phases, strict=False)
    )
    found = [(each.step, each.value(metric)) for each in history.evaluations if is_of_search(each)]
    return {step: value for step, value in found if planned and value is not None and math.isfinite(value)}


def _write_search(experiment: Experiment, **changes: Any) -> None:
    """Write down how far the search is; None removes a fact."""
    facts = experiment.facts
    search = facts["sweep"] | changes
    facts["sweep"] = {key: value for key, value in search.items() if value is not None}
    experiment.write_facts(facts)
