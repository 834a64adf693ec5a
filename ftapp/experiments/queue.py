"""The queue: runs, experiments and sweeps that take turns, by a process that outlives who added them.

It has a folder beside the runs, `queue`:

queue.json   the entries in their order   queue.lock   locked while its process lives
ID/          the folder of what waits     edit.lock    locked while the entries are changed
queue.log    the output of its process       disk.lock    locked while it waits for room on the disk
limits.lock  locked while `share` lasts

What waits is prepared whole: a later change of a recipe's file changes nothing. When its turn comes, its folder moves
to the place of runs, or of experiments, and its process is started.

One goes on at a time unless `share` allows more. What people of a class add takes turns by person: the first run of
each comes before the second of anyone. So the order of the entries is the order of their turns.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from ftapp.common.confinement import Confinement
from ftapp.common.durable import replace_file
from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.common.locks import hold_lock, is_locked, lock_alone
from ftapp.common.person import Person
from ftapp.common.safe_files import UNREADABLE, explain_error, read_bytes
from ftapp.common.shell_variables import read_shell_variables
from ftapp.experiments import experiment_folder
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.queue_entries import Entry, Limits, QueueState, find_waiting
from ftapp.runs.launcher import LocalLauncher
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_names import is_name, make_name, parse_name
from ftapp.runs.starting import RunStart

_MOST_ENDED = 20  # entries that are kept after their end
_SECONDS = 10.0  # in which a process that has found nothing more to do ends
_POLL_SECONDS = 0.05
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Queue:
    """The queue of a folder of runs. It is the job of its process (`ftapp.runs.launcher.JobFolder`).

    Attributes:
        folder: Its folder, which need not exist.
        worker: The module that is the process's main.
    """

    folder: Path
    worker: ClassVar[str] = "ftapp.workers.queue"

    @classmethod
    def of(cls, runs_dir: Path) -> Queue:
        """Return the queue of a folder of runs."""
        return cls(runs_dir.absolute() / "queue")

    @property
    def runs_dir(self) -> Path:
        """The folder of runs."""
        return self.folder.parent

    @property
    def file(self) -> Path:
        """The file of the entries."""
        return self.folder / "queue.json"

    @property
    def lock_file(self) -> Path:
        """The file that is locked while the process lives."""
        return self.folder / "queue.lock"

    @property
    def log_file(self) -> Path:
        """The output of the process."""
        return self.folder / "queue.log"

    def alive(self) -> bool:
        """Whether the process lives."""
        return is_locked(self.lock_file)

    def list_entries(self) -> list[Entry]:
        """List the entries in their order.

        Raises:
            RunError: The file cannot be read.
        """
        return self._load().entries

    def is_paused(self) -> bool:
        """Whether no further entry is started. Raises as `list_entries`."""
        return self._load().paused

    def read_limits(self) -> Limits:
        """Read how many entries may go on at once. Raises as `list_entries`."""
        return self._load().limits

    @contextmanager
    def share(self, limits: Limits) -> Iterator[None]:
        """Let so many entries go on at once while the context lasts, or until this process is killed.

        Args:
            limits: How many. What goes on goes on.

        Raises:
            RunError: Another process does so, or the entries cannot be read.
            OSError: The folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._limits_lock.open("wb") as lock:
            try:
                lock_alone(lock)
            except BlockingIOError as error:
                raise RunError(
                    f"another `ftapp serve --class` goes on in {self.runs_dir}; end it first, or name another folder "
                    "with --runs-dir"
                ) from error
            with self._edit() as state:
                state.limits = limits
            yield  # after the lock, the limits that are written down count for nothing

    @contextmanager
    def keep_going(self) -> Iterator[None]:
        """Start the process whenever something waits while the context lasts, unless the queue is paused.

        So people who may not start it themselves can add to it: whatever the process of a student starts is confined.
        """
        ends = threading.Event()

        def watch() -> None:
            while not ends.wait(_LOOK_SECONDS):
                with suppress(RunError, OSError):  # the screen of the queue says what is wrong with it
                    state = self._load()
                    if not state.paused and any(each.waits for each in state.entries) and not self.alive():
                        self.start()

        thread = threading.Thread(target=watch, name="queue", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ends.set()
            thread.join()

    @property
    def _limits_lock(self) -> Path:
        return self.folder / "limits.lock"

    def add(self, label: str, prepare: Callable[[Path], RunStart | Experiment], on: str = "local") -> Entry:
        """Add a run or an experiment behind those that come before it.

        Args:
            label: The name of its recipe, with the profile.
            prepare: Makes the run or the experiment in the folder of runs that it is given.
            on: Where a run goes.

        Returns:
            The entry.

        Raises:
            RecipeError: `prepare` has refused it.
            RunError: The entries cannot be read.
            OSError: The folder cannot be written.
        """
        with self._edit() as state:
            state.last += 1
            place = self.folder / str(state.last)
            shutil.rmtree(place, ignore_errors=True)  # of an addition that could not be written down
            try:
                made = prepare(place)
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
            environment = read_shell_variables(is_for_here=on == "local")
            if isinstance(made, RunStart):
                environment |= made.environment
            if student := Confinement.read():
                environment |= student.environment
            kind: Literal["run", "experiment"] = "run" if isinstance(made, RunStart) else "experiment"
            owner = Person.read().name
            entry = Entry(
                id=state.last, label=label, kind=kind, environment=environment, on=on, added=time.time(), owner=owner
            )
            state.entries.insert(state.find_place(owner), entry)
        return entry

    def drop(self, number: int) -> Entry:
        """Remove an entry that waits.

        Args:
            number: Its id.

        Returns:
            The entry that was removed.

        Raises:
            RecipeError: No entry of this id waits.
            RunError: The entries cannot be read.
        """
        with self._edit() as state:
            entry = find_waiting(state, number)
            state.entries.remove(entry)
            shutil.rmtree(self.folder / str(number), ignore_errors=True)
        return entry

    def move(self, number: int, place: int) -> None:
        """Move an entry that waits.

        Args:
            number: Its id.
            place: Its new place among those that wait, from 1; places beyond the last are the last.

        Raises:
            RecipeError: No entry of this id waits, or the place is below 1.
            RunError: The entries cannot be read.
        """
        if place < 1:
            raise RecipeError([Problem("", "", f"there is no place {place} in the queue; the first place is 1")])
        with self._edit() as state:
            entry = find_waiting(state, number)
            state.entries.remove(entry)
            waiting = [index for index, each in enumerate(state.entries) if each.waits]
            index = waiting[place - 1] if place <= len(waiting) else len(state.entries)
            state.entries.insert(index, entry)

    def pause(self) -> None:
        """Start no further entry. What goes on goes on. Raises as `list_entries`."""
        with self._edit() as state:
            state.paused = True

    def start(self) -> None:
        """Start the process, unless it lives: it carries out what waits.

        Raises:
            RunError: The entries cannot be read, or a process of the queue does not come to its end.
            OSError: The process cannot be started.
        """
        with self._edit() as state:
            state.paused = False
            ends, state.ending = state.ending, False
        deadline = time.monotonic() + _SECONDS
        while self.alive():
            if not ends:
                return
            if time.monotonic() > deadline:
                raise RunError(f"the process of the queue does not end; see {self.log_file}")
            time.sleep(_POLL_SECONDS)
        with suppress(RunError):  # another process has started it in the same instant
            LocalLauncher().start(self, {})

    def take(self, held: Collection[int] = ()) -> Entry | None:
        """Take the entry whose turn it is, for the process of the queue: one that goes on, else the next that waits.

        Args:
            held: The ids of the entries that the process has taken and not ended.

        Returns:
            The entry, with its folder at the place of runs or experiments; None where nothing is to be done now.

        Raises:
            RunError: The entries cannot be read.
            OSError: The folder of the entry cannot be moved.
        """
        with self._edit() as state:
            entry = next((each for each in state.entries if each.goes_on and each.id not in held), None)
            while entry is None and (waiting := state.find_next()):
                if prepared := self._find_prepared(waiting):
                    waiting.job = make_name(parse_name(prepared.name)[0])
                    entry = waiting
                else:
                    waiting.status = "deleted"
            if entry is None and not held:
                state.ending = True
        if entry:  # its new name is written down first, so that a move that is cut off is done again
            self._move_into_place(entry)
        return entry

    def end(self, number: int, status: str) -> None:
        """Write down how an entry has ended. The oldest of many that have ended are forgotten.

        Args:
            number: Its id.
            status: Its status.
        """
        with self._edit() as state:
            for each in state.entries:
                if each.id == number:
                    each.status = status
            ended = [each for each in state.entries if each.status]
            for each in ended[:-_MOST_ENDED]:
                state.entries.remove(each)

    def find_job(self, entry: Entry) -> RunFolder | Experiment:
        """Return the run or the experiment of an entry that was started."""
        folder = self.runs_dir / self._name_inner(entry) / entry.job
        return RunFolder(folder) if entry.kind == "run" else Experiment(folder)

    def describe_status(self, entry: Entry) -> str:
        """Describe the status of an entry in a few words: also whether a run that was started waits for a machine."""
        lease = RunFolder(self.find_job(entry).folder).find_lease() if entry.goes_on and entry.kind == "run" else None
        if lease and lease.lease.state == "waiting":
            reason = lease.find_reason()
            return f"waiting in {lease.lease.engine}{f': {reason}' if reason else ''}"
        return entry.describe_status()

    def _find_prepared(self, entry: Entry) -> Path | None:
        """Find the folder of an entry that waits, or whose move was cut off."""
        inner = self.folder / str(entry.id) / self._name_inner(entry)
        return next((path for path in inner.glob("*") if is_name(path.name)), None)

    def _move_into_place(self, entry: Entry) -> None:
        """Move the folder of an entry to the place of runs or experiments, unless it is there."""
        if prepared := self._find_prepared(entry):
            facts = prepared / ("environment.json" if entry.kind == "run" else "experiment.json")
            with suppress(FileNotFoundError, *UNREADABLE):  # its process says what is wrong with it
                known = json.loads(read_bytes(facts))
                replace_file(facts, json.dumps(known | {"created": time.time()}, indent=2).encode())
            target = self.find_job(entry).folder
            target.parent.mkdir(parents=True, exist_ok=True)
            prepared.rename(target)
        shutil.rmtree(self.folder / str(entry.id), ignore_errors=True)

    @staticmethod
    def _name_inner(entry: Entry) -> Path:
        return Path() if entry.kind == "run" else Path(experiment_folder.FOLDER)

    def _load(self) -> QueueState:
        try:
            state = msgspec.json.decode(read_bytes(self.file), type=QueueState)
        except FileNotFoundError:
            return QueueState()
        except (OSError, *UNREADABLE) as error:
            raise RunError(f"the queue cannot be read: {self.file}: {explain_error(error)}") from error
        if state.limits != Limits() and not is_locked(self._limits_lock):
            state.limits = Limits()
        return state

    @contextmanager
    def _edit(self) -> Iterator[QueueState]:
        """Change the state, alone. Nothing is changed where the context ends with an error."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with hold_lock(self.folder / "edit.lock", fcntl.LOCK_EX):
            state = self._load()
            former = msgspec.json.encode(state)
            yield state
            if (content := msgspec.json.encode(state)) != former or not self.file.exists():
                replace_file(self.file, msgspec.json.format(content) + b"\n")
