"""Runs that go on at the same time, each narrated, and what is done with their events."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ftapp.common.console import PlainConsole
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.safe_files import explain_lost_folder
from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs.commands import Stop, send
from ftapp.runs.event_reader import EventReader, read_last_time
from ftapp.runs.events import AnyEvent
from ftapp.runs.history import History
from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import Launcher, LocalLauncher, do_nothing
from ftapp.runs.narrator import Narrator, explain
from ftapp.runs.resuming import ENDED_EARLY
from ftapp.runs.run_folder import GOING_ON, RunFolder
from ftapp.runs.starting import prepare_resume

_POLL_SECONDS = 0.1
CUT_OFF = frozenset((*GOING_ON, *ENDED_EARLY))
"""The statuses of runs with which an experiment goes on, once its former process has ended."""


class Watcher:
    """What is done with the events of a run and at its end. By itself, it does nothing."""

    def on_event(self, run: RunFolder, event: AnyEvent, history: History) -> None:
        """Take an event of the run.

        Args:
            run: The run.
            event: The event; those from before a run was resumed come again.
            history: The run so far.
        """

    def on_end(self, run: RunFolder, status: str, history: History) -> None:
        """Take the end of the run.

        Args:
            run: The run, whose process has ended.
            status: Its status.
            history: All of the run.
        """


@dataclass
class _Slot:
    """A run that goes on.

    Attributes:
        run: The run.
        narrator: Narrates it.
        watcher: Takes its events.
        is_alive: Tells whether its process lives.
        begun: The time of the last event of an earlier process, which was narrated before.
    """

    run: RunFolder
    narrator: Narrator
    watcher: Watcher
    is_alive: Callable[[], bool]
    begun: float
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self._reader, self._restarts = EventReader(self.run.events_file), 0

    def follow(self) -> None:
        """Take the events that have come since the last call."""
        for events in self._reader.pieces():
            if self._reader.restarts != self._restarts:  # the log was cut where the run goes on
                self.history, self._restarts = History(), self._reader.restarts
            for event in events:
                self.history.apply(event)
                if event.time > self.begun:
                    self.narrator.tell(event, self.history)
                self.watcher.on_event(self.run, event, self.history)
        self.narrator.look()


class Slots:
    """So many runs at once, each narrated: by a bar when it is alone, by lines with its name otherwise."""

    def __init__(
        self, experiment: Experiment, count: int, launcher: Launcher, interruption: Interruption, *, debug: bool
    ) -> None:
        """Begin without a run.

        Args:
            experiment: The experiment of the runs, which may ask them to end.
            count: How many runs go on at once.
            launcher: Starts the runs.
            interruption: Tells when the user wants them to end.
            debug: Whether the output of runs that did not end well is shown.
        """
        self._experiment, self._count, self._debug = experiment, count, debug
        self._launcher, self._interruption = launcher, interruption
        self._taken: list[_Slot] = []
        self._adopted: list[RunFolder] = []

    def wait_for_room(self) -> bool:
        """Wait until another run can start; False when the user wants no more."""
        while len(self._taken) >= self._count:
            self._advance()
        self._check_stop()
        return not self._interruption.requested

    def start(
        self,
        run: RunFolder,
        name: str,
        environment: Mapping[str, str],
        watcher: Watcher,
        prepare: Callable[[], None] = do_nothing,
    ) -> None:
        """Start a run's process. A run that its engine refuses has failed, and the others go on.

        Args:
            run: The run.
            name: What to call it.
            environment: Variables that the process gets.
            watcher: Takes the events of the run.
            prepare: Changes the run's files once no process works on it.

        Raises:
            OSError: The process cannot be started.
        """
        begun = read_last_time(run.events_file)
        narrator = _NamedNarrator(run, name, alone=self._count == 1)
        try:
            self._launcher.start(run, {**environment, **self._interruption.environment}, prepare)
        except RunError as error:
            print(f"{name}: {error}", file=sys.stderr)
            watcher.on_end(run, "failed", run.history())
            return
        self._take(_Slot(run, narrator, watcher, lambda: self._launcher.alive(run), begun))
        self._interruption.add(run)

    def resume(self, run: RunFolder, name: str, watcher: Watcher, *, offline: bool) -> None:
        """Go on with a run that was cut off. One that cannot go on has failed, and the others go on.

        Args:
            run: The run; where a process that an earlier command has started works on it, or has ended it while
                there was no room, it is followed.
            name: What to call it.
            watcher: Takes the events of the run.
            offline: Whether the process makes no network call.

        Raises:
            OSError: The process cannot be started.
        """
        if run.alive() or run.status() not in CUT_OFF:
            self._adopt(run, name, watcher)
            return
        try:
            start = prepare_resume(run, offline=offline)
        except (RecipeError, RunError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            watcher.on_end(run, "failed", run.history())
            return
        self.start(run, name, start.environment, watcher, start.prepare)

    def _adopt(self, run: RunFolder, name: str, watcher: Watcher) -> None:
        """Follow a run whose process an earlier command has started."""
        begun = read_last_time(run.events_file)
        if isinstance(self._launcher, LocalLauncher):
            self._adopted.append(run)
        else:  # another machine's run is reached through its folder
            self._interruption.add(run)
        self._take(_Slot(run, _NamedNarrator(run, name, alone=self._count == 1), watcher, run.alive, begun))

    def wait_for_all(self) -> None:
        """Wait until no run goes on.

        Raises:
            RunError: The experiment's folder is gone, so that there is no place for what the runs give.
        """
        while self._taken:
            self._advance()
        if lost := explain_lost_folder(self._experiment.folder):
            raise RunError(f"{self._experiment.folder.name} has ended: {lost}")

    def _take(self, slot: _Slot) -> None:
        slot.narrator.__enter__()
        self._taken.append(slot)

    def _check_stop(self) -> None:
        """Ask the runs to end once the experiment's folder says so or is gone, or the user does."""
        is_over = self._experiment.is_stopping() or explain_lost_folder(self._experiment.folder) is not None
        if is_over and not self._interruption.requested:
            self._interruption.stop()
        for message in self._interruption.take_messages():
            print(message, file=sys.stderr)
        while self._interruption.requested and self._adopted:  # no signal of this process comes to them
            request_stop(self._adopted.pop())

    def _advance(self) -> None:
        time.sleep(_POLL_SECONDS)
        self._check_stop()
        for slot in list(self._taken):
            living = slot.is_alive()  # asked first, so that all events of one that ended are taken
            slot.follow()
            if not living:
                self._taken.remove(slot)
                self._close(slot)

    def _close(self, slot: _Slot) -> None:
        slot.narrator.__exit__(None, None, None)
        status = slot.run.status(slot.history)
        if status in ("failed", "crashed", "refused"):
            explain(slot.run, slot.history, status, debug=self._debug, was_stopped=self._interruption.requested)
        if not explain_lost_folder(self._experiment.folder):
            slot.watcher.on_end(slot.run, status, slot.history)


def request_stop(run: RunFolder, because: str = "") -> None:
    """Ask a run to end after its step, as the command Stop does; nothing happens where it has ended.

    Args:
        run: The run.
        because: Why a sweep ends it; "" where its user does.
    """
    try:
        send(run, Stop(because=because))
    except RunError as error:
        if run.alive():
            print(error, file=sys.stderr)


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
