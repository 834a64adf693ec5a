"""`ftapp run` of recipes with arms: each arm is a run in a process of its own, several at once if asked."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console

from ftapp import backend, experiments, headless, recipe, runs
from ftapp.errors import Problem, RecipeError
from ftapp.events import EventReader
from ftapp.experiments import Experiment
from ftapp.headless import Narrator
from ftapp.history import History
from ftapp.runs import EXIT_CODES, Run

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Options:
    """How an experiment is run: with so many seeds, so many runs at once, and whether the first arm is run twice."""

    repeats: int = 1
    jobs: int = 1
    control: bool = False

    @property
    def given(self) -> bool:
        """Whether they make an experiment of a recipe without arms."""
        return self.repeats > 1 or self.control

    def check(self) -> None:
        """Raises RecipeError when they are no numbers to run with."""
        found = {"--repeat": self.repeats, "--jobs": self.jobs}
        wrong = [f"{name} is 1 or more; got {value}" for name, value in found.items() if value < 1]
        if wrong:
            raise RecipeError([Problem("", "", message) for message in wrong])


def has_arms(name: str) -> bool:
    """Whether a recipe has arms. What is wrong with it is told when it is loaded."""
    try:
        return bool(recipe.read(recipe.find(name)).get("arm"))
    except RecipeError:
        return False


def run(
    name: str,
    profile: str | None,
    overrides: Sequence[str],
    runs_dir: Path,
    options: Options,
    *,
    offline: bool,
    verify_cache: bool,
    debug: bool,
) -> tuple[Experiment, int]:
    """Run all arms of a recipe. Returns the experiment and the exit code: 130 if interrupted, else 1 if a run failed.

    A recipe without arms is the only one. Raises RecipeError when the recipe or the options are refused, OSError when
    the folder for runs cannot be written.
    """
    options.check()
    path = recipe.find(name)
    loaded = recipe.load_experiment(path, profile, overrides)
    arms = loaded.arms or {path.stem: loaded.base}
    if options.control:
        arms = experiments.with_control(arms)
    for each in arms.values():
        backend.check_installed(each.backend)
    experiment = experiments.create(
        path.stem, profile, loaded.to_toml(), list(arms), options.repeats, options.jobs, runs_dir, command=sys.argv
    )
    print(f"experiment {experiment.folder}", file=sys.stderr)
    facts = {"command": sys.argv, "hubless_profiles": recipe.hubless_profiles(path), "jobs": options.jobs}
    lanes = _Lanes(options.jobs, debug=debug)
    with lanes.signals():
        for repeat, arm in experiments.schedule(list(arms), options.repeats):
            if not lanes.free():
                break
            # A repeat has a seed of its own, which all of its arms share.
            resolved = arms[arm].model_copy(update={"seed": arms[arm].seed + repeat - 1})
            label = f"{path.stem}-{experiments.slug(arm)}"
            made = runs.create(
                resolved, label, profile, runs_dir, experiment=experiment.folder.name, arm=arm, repeat=repeat, **facts
            )
            experiment.add(arm, repeat, made)
            variables = backend.environment(resolved.backend, offline=offline, verify_cache=verify_cache)
            lanes.start(made, f"{arm}, seed {resolved.seed}", variables)
        lanes.finish()
    codes = [EXIT_CODES[status] for status in lanes.statuses]
    return experiment, 130 if lanes.stopped else next((code for code in (130, 1, 2) if code in codes), 0)


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
        return living


class _Lanes:
    """So many runs at once, each told as it goes: by a bar when it is alone, by lines with its name otherwise."""

    def __init__(self, count: int, *, debug: bool) -> None:
        self._count, self._debug = count, debug
        self._going: list[_Lane] = []
        self.statuses: list[str] = []
        self.stopped = False

    def free(self) -> bool:
        """Wait until another run can start; False when the user wants no more of them."""
        while len(self._going) >= self._count:
            self._advance()
        return not self.stopped

    def start(self, run: Run, name: str, variables: Mapping[str, str]) -> None:
        """Start a run's process."""
        narrator = _Named(run, name, alone=self._count == 1)
        lane = _Lane(run, runs.launch(run, variables), narrator, EventReader(run.events_file))
        narrator.__enter__()
        self._going.append(lane)
        if self.stopped:  # the wish came while it was being started
            runs.interrupt(lane.process)

    def finish(self) -> None:
        """Wait for all runs."""
        while self._going:
            self._advance()

    def _advance(self) -> None:
        time.sleep(_POLL_SECONDS)
        for lane in [lane for lane in self._going if not lane.follow()]:
            self._going.remove(lane)
            lane.narrator.__exit__(None, None, None)
            status = lane.run.status(lane.history)
            self.statuses.append(status)
            if status in ("failed", "crashed", "refused"):
                headless.explain(lane.run, lane.history, status, debug=self._debug)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Hand Ctrl-C and SIGTERM on to all runs that go on: they end by themselves, and no other starts."""

        def forward(number: int, frame: FrameType | None) -> None:
            self.stopped = True
            print("ending after this step and saving; once more to end at once", file=sys.stderr)
            for lane in self._going:
                runs.interrupt(lane.process)

        former = {number: signal.signal(number, forward) for number in runs.STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


class _Named(Narrator):
    """Tells a run of several: which one it is, at its start or, where others go on beside it, in each line."""

    def __init__(self, run: Run, name: str, *, alone: bool) -> None:
        self._prefix = "" if alone else f"{name}: "
        if alone:
            print(f"\n{name}", file=sys.stderr)
        super().__init__(run, Console(stderr=True, highlight=False, force_terminal=None if alone else False))

    def say(self, text: str) -> None:
        super().say(self._prefix + text)
