"""`ftapp run` of recipes with arms: each arm is a run in a process of its own, several at once if asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ftapp.common.console import PlainConsole
from ftapp.experiments import experiment_folder
from ftapp.experiments.arms import make_slug, schedule
from ftapp.experiments.experiment_folder import Experiment
from ftapp.recipe.value_types import MOST_SEEDS
from ftapp.runs import annotation, run_folder
from ftapp.runs.environment import make_environment
from ftapp.runs.event_reader import EventReader
from ftapp.runs.history import History
from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import Launcher
from ftapp.runs.narrator import Narrator, explain
from ftapp.runs.run_folder import EXIT_CODES, RunFolder, combine_exit_codes

_POLL_SECONDS = 0.1


def run_experiment(experiment: Experiment, launcher: Launcher, interruption: Interruption, *, debug: bool) -> int:
    """Run all arms of an experiment as its folder has it.

    It ends when the data of an arm are refused: without that arm there is nothing to compare.

    Args:
        experiment: The experiment's folder.
        launcher: Starts the runs.
        interruption: Tells when the user wants it to end.
        debug: Whether the output of runs that did not end well is shown.

    Returns:
        The exit code: 130 if interrupted, else 75 if unfinished, else 1 if a run failed, else 2 if one was refused,
        else 0.
    """
    print(f"experiment {experiment.folder}", file=sys.stderr)
    facts, arms = experiment.facts, experiment_folder.load_recipes(experiment)
    profile, runs_dir = facts["profile"], experiment.folder.parent.parent
    slots = _Slots(experiment, facts["jobs"], launcher, interruption, debug=debug)
    recorded = {key: facts[key] for key in ("command", "hubless_profiles", "jobs")}
    how = {key: facts[key] for key in ("offline", "verify_cache")}
    for of, arm in schedule(list(arms), experiment.list_rounds()):
        if not slots.wait_for_room():
            break
        # A repeat has a seed of its own, which all of its arms and folds share.
        chosen: dict[str, Any] = {"seed": (arms[arm].seed + of.repeat - 1) % MOST_SEEDS}
        if of.fold:
            chosen["data"] = arms[arm].data.model_copy(update={"fold": of.fold})
        resolved = arms[arm].model_copy(update=chosen)
        own = [] if arm == facts["recipe"] and of.fold else [make_slug(arm)]
        label = "-".join([facts["recipe"], *own, *([f"fold-{of.fold}"] if of.fold else [])])
        recorded |= {"arm": arm, "repeat": of.repeat, "fold": of.fold or None}
        made = run_folder.create(resolved, label, profile, runs_dir, experiment=experiment.folder.name, **recorded)
        annotation.store(made.folder, annotation.load(experiment.folder))
        experiment.add(arm, of, made)
        name = f"{arm}, fold {of.fold}" if of.fold else arm
        slots.start(made, f"{name}, seed {resolved.seed}", make_environment(resolved.backend, **how))
    slots.wait_for_all()
    ends = [*slots.statuses, *([interruption.status] if interruption.status else [])]
    return combine_exit_codes([EXIT_CODES[status] for status in ends])


@dataclass
class _Slot:
    """A run that goes on."""

    run: RunFolder
    narrator: Narrator
    reader: EventReader
    history: History = field(default_factory=History)

    def narrate_news(self) -> None:
        """Narrate the events that have come since the last call."""
        for events in self.reader.pieces():
            for event in events:
                self.history.apply(event)
                self.narrator.tell(event, self.history)
        self.narrator.look()


class _Slots:
    """So many runs at once, each narrated: by a bar when it is alone, by lines with its name otherwise."""

    def __init__(
        self, experiment: Experiment, count: int, launcher: Launcher, interruption: Interruption, *, debug: bool
    ) -> None:
        self._experiment, self._count, self._debug = experiment, count, debug
        self._launcher, self._interruption = launcher, interruption
        self._taken: list[_Slot] = []
        self.statuses: list[str] = []

    def wait_for_room(self) -> bool:
        """Wait until another run can start; False when the user wants no more, or the data of one were refused."""
        while len(self._taken) >= self._count:
            self._advance()
        self._check_stop()
        return not self._interruption.requested and not self._experiment.refusal

    def start(self, run: RunFolder, name: str, environment: Mapping[str, str]) -> None:
        """Start a run's process."""
        slot = _Slot(run, _NamedNarrator(run, name, alone=self._count == 1), EventReader(run.events_file))
        self._launcher.start(run, environment)
        slot.narrator.__enter__()
        self._taken.append(slot)
        self._interruption.add(run)

    def wait_for_all(self) -> None:
        """Wait until no run goes on."""
        while self._taken:
            self._advance()

    def _check_stop(self) -> None:
        """Ask the runs to end once the experiment's folder says so."""
        if not self._interruption.requested and self._experiment.is_stopping():
            self._interruption.stop()
        for message in self._interruption.take_messages():
            print(message, file=sys.stderr)

    def _advance(self) -> None:
        time.sleep(_POLL_SECONDS)
        self._check_stop()
        for slot in list(self._taken):
            living = self._launcher.alive(slot.run)  # asked first, so that all events of one that ended are narrated
            slot.narrate_news()
            if not living:
                self._taken.remove(slot)
                self._close(slot)

    def _close(self, slot: _Slot) -> None:
        slot.narrator.__exit__(None, None, None)
        status = slot.run.status(slot.history)
        self.statuses.append(status)
        if status in ("failed", "crashed", "refused"):
            explain(slot.run, slot.history, status, debug=self._debug)
        if run_folder.remove_refused(slot.run, slot.history):
            self._experiment.refuse(slot.run, str(slot.history.ended and slot.history.ended.error))


class _NamedNarrator(Narrator):
    """Narrates one of several runs: its name comes first or, where others go on beside it, in each line."""

    def __init__(self, run: RunFolder, name: str, *, alone: bool) -> None:
        self._prefix = "" if alone else f"{name}: "
        if alone:
            print(f"\n{name}", file=sys.stderr)
        super().__init__(run, PlainConsole(sys.stderr, force_terminal=None if alone else False))

    def say(self, text: str) -> None:
        """Print a line that stays."""
        super().say(self._prefix + text)
