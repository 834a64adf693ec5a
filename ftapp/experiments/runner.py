"""`ftapp run` of recipes with arms: each arm is a run in a process of its own, several at once if asked."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ftapp import recipe
from ftapp.common.console import PlainConsole
from ftapp.common.errors import RecipeError
from ftapp.experiments import experiment_folder
from ftapp.experiments.experiment_folder import Experiment
from ftapp.recipe.value_types import MOST_SEEDS
from ftapp.runs import run_folder
from ftapp.runs.environment import make_environment
from ftapp.runs.events import EventReader
from ftapp.runs.history import History
from ftapp.runs.interruption import Interruption
from ftapp.runs.narrator import Narrator, explain
from ftapp.runs.run_folder import EXIT_CODES, Run

_POLL_SECONDS = 0.1


def has_arms(name: str) -> bool:
    """Whether a recipe has arms. What is wrong with it is told when it is loaded."""
    try:
        return bool(recipe.read(recipe.find(name)).get("arm"))
    except RecipeError:
        return False


def conduct(experiment: Experiment, interruption: Interruption, *, debug: bool) -> int:
    """Run all arms of an experiment as its folder has it, until one's data are refused: without it there is nothing to
    compare. Returns the exit code: 130 if interrupted, else 1 if a run failed, else 2 if one was refused.
    """
    print(f"experiment {experiment.folder}", file=sys.stderr)
    facts, arms = experiment.facts, experiment_folder.recipes(experiment)
    profile, runs_dir = facts["profile"], experiment.folder.parent.parent
    lanes = _Lanes(experiment, facts["jobs"], interruption, debug=debug)
    told = {key: facts[key] for key in ("command", "hubless_profiles", "jobs")}
    how = {key: facts[key] for key in ("offline", "verify_cache")}
    for repeat, arm in experiment_folder.schedule(list(arms), facts["repeats"]):
        if not lanes.free():
            break
        # A repeat has a seed of its own, which all of its arms share.
        resolved = arms[arm].model_copy(update={"seed": (arms[arm].seed + repeat - 1) % MOST_SEEDS})
        label = f"{facts['recipe']}-{experiment_folder.slug(arm)}"
        made = run_folder.create(
            resolved, label, profile, runs_dir, experiment=experiment.folder.name, arm=arm, repeat=repeat, **told
        )
        experiment.add(arm, repeat, made)
        variables = make_environment(resolved.backend, **how)
        lanes.start(made, f"{arm}, seed {resolved.seed}", variables)
    lanes.finish()
    codes = [EXIT_CODES[status] for status in lanes.statuses]
    return 130 if interruption.requested else next((code for code in (130, 1, 2) if code in codes), 0)


@dataclass
class _Lane:
    """A run that goes on."""

    run: Run
    process: subprocess.Popen[bytes]
    narrator: Narrator
    reader: EventReader
    history: History = field(default_factory=History)

    def follow(self) -> bool:
        """Tell what is new, and whether the run goes on."""
        living = self.process.poll() is None
        for events in self.reader.pieces():
            for event in events:
                self.history.apply(event)
                self.narrator.tell(event, self.history)
        self.narrator.look()
        return living


class _Lanes:
    """So many runs at once, each told as it goes: by a bar when it is alone, by lines with its name otherwise."""

    def __init__(self, experiment: Experiment, count: int, interruption: Interruption, *, debug: bool) -> None:
        self._experiment, self._count, self._interruption, self._debug = experiment, count, interruption, debug
        self._going: list[_Lane] = []
        self.statuses: list[str] = []

    def free(self) -> bool:
        """Wait until another run can start; False when the user wants no more, or the data of one were refused."""
        while len(self._going) >= self._count:
            self._advance()
        self._heed()
        return not self._interruption.requested and not self._experiment.refusal

    def start(self, run: Run, name: str, variables: Mapping[str, str]) -> None:
        """Start a run's process."""
        narrator = _Named(run, name, alone=self._count == 1)
        lane = _Lane(run, run_folder.launch(run, variables), narrator, EventReader(run.events_file))
        narrator.__enter__()
        self._going.append(lane)
        self._interruption.reaches(lane.process)

    def finish(self) -> None:
        """Wait for all runs."""
        while self._going:
            self._advance()

    def _heed(self) -> None:
        """Stop once the experiment's folder says so."""
        if not self._interruption.requested and self._experiment.stopping():
            self._interruption.stop()
        for message in self._interruption.news():
            print(message, file=sys.stderr)

    def _advance(self) -> None:
        time.sleep(_POLL_SECONDS)
        self._heed()
        for lane in [lane for lane in self._going if not lane.follow()]:
            self._going.remove(lane)
            lane.narrator.__exit__(None, None, None)
            status = lane.run.status(lane.history)
            self.statuses.append(status)
            if status in ("failed", "crashed", "refused"):
                explain(lane.run, lane.history, status, debug=self._debug)
            if run_folder.remove_refused(lane.run, lane.history):
                self._experiment.refuse(lane.run, str(lane.history.ended and lane.history.ended.error))


class _Named(Narrator):
    """Tells a run of several: which one it is, at its start or, where others go on beside it, in each line."""

    def __init__(self, run: Run, name: str, *, alone: bool) -> None:
        self._prefix = "" if alone else f"{name}: "
        if alone:
            print(f"\n{name}", file=sys.stderr)
        super().__init__(run, PlainConsole(sys.stderr, force_terminal=None if alone else False))

    def say(self, text: str) -> None:
        super().say(self._prefix + text)
