"""The relay of a run in a Ray cluster that does not see the run's folder. Only processes of Ray import this.

The relay is a detached actor on the head node. It has a copy of the run's folder (`ftapp.launchers.folder_copy`), which
outlives the machines of the cluster and the connection of the user's machine:

    the node of the task        the head node       the user's machine
    the run's process   ------> the relay   ------> ftapp.launchers.ray_fetch    what the run writes
                        <------             <------                              commands and signals

The task does the run in a folder of its own machine. When that machine is lost, Ray starts the task on another one,
which begins with the relay's copy. The relay takes nothing more from a former task, so this has to end.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError

from ftapp import recipe as recipes
from ftapp.common import user_folders
from ftapp.common.durable import replace_file
from ftapp.common.errors import RecipeError, RunError
from ftapp.launchers.attempt import SUPERSEDED, Attempt
from ftapp.launchers.folder_copy import (
    Changes,
    Marks,
    apply_changes,
    is_command_log,
    is_of_run,
    list_marks,
    read_changes,
)
from ftapp.launchers.ray_keeper import (
    NAMESPACE,
    WorkerKilledError,
    give_reason,
    make_actor_options,
    make_task_options,
)
from ftapp.runs.held_lease import TIED
from ftapp.runs.leases import Lease, LeaseState, read_seconds
from ftapp.runs.run_folder import RunFolder

_POLL_SECONDS = 0.3
_SILENT_SECONDS = 20.0  # after which a task that sends nothing counts as lost; Ray has noticed, or will
_END_SECONDS = 20.0  # for a task that is cancelled
_WAIT_SECONDS = 60.0  # for an answer of a relay that is being made


@dataclass(frozen=True)
class Answer:
    """What the relay answers to a task.

    Attributes:
        is_wanted: Whether the task is to go on.
        marks: What the relay's copy has.
        commands: What the task's folder lacks of the users' commands.
        signal: The number of a signal for the run's process.
    """

    is_wanted: bool
    marks: Marks
    commands: Changes
    signal: int | None


@dataclass(frozen=True)
class Report:
    """What the relay tells the user's machine.

    Attributes:
        state: As that of a lease.
        host: The machine that works on the run.
        attempt: How often a task was started.
        error: Why Ray has given the run up; "" where it has not.
        marks: What the relay's copy has.
        changes: What the user's folder lacks.
    """

    state: LeaseState
    host: str
    attempt: int
    error: str
    marks: Marks
    changes: Changes


class Relay:
    """Has a run done, and keeps a copy of its folder."""

    def __init__(self, name: str, launch: str, environment: Mapping[str, str], options: Mapping[str, str]) -> None:
        """Make the relay, or make it again where it was lost.

        Args:
            name: Its name, which is that of the run's folder.
            launch: The start of the run.
            environment: Variables that the run's process gets.
            options: Those of the target.
        """
        self._name, self._launch, self._environment, self._options = name, launch, environment, options
        self._folder = _find_place(name) / name
        self._attempts_file = _find_place(name) / f"attempts-{launch}"
        self._attempt, self._host, self._error = 0, "", ""
        self._signal: int | None = None
        self._heard = time.monotonic()
        self._is_cancelled = self._has_ended = False
        if self._attempts_file.exists():
            self._attempt = int(self._attempts_file.read_text())
            self.begin()
        else:  # a former start may have left its copy
            shutil.rmtree(_find_place(name), ignore_errors=True)

    def has_begun(self) -> bool:
        """Return whether the run was begun; not where its upload was interrupted."""
        return self._attempts_file.exists()

    def list_marks(self) -> Marks:
        """List what the relay's copy has."""
        return list_marks(self._folder)

    def upload(self, changes: Changes) -> Marks:
        """Take the files of the user's machine, before the run begins, and list what the copy has then."""
        apply_changes(self._folder, changes)
        return self.list_marks()

    def begin(self) -> None:
        """Have the run done. From here on the relay goes on alone."""
        replace_file(self._attempts_file, str(self._attempt).encode())
        task = ray.remote(do_relayed_attempt).options(**make_task_options(self._name, self._options))
        self._task = task.remote(self._name, self._launch, self._environment)
        self._waiting = threading.Thread(target=self._wait, name="relay", daemon=True)
        self._waiting.start()

    def _wait(self) -> None:
        """Wait for the end of the task, also after attempts that Ray has repeated."""
        try:
            ray.get(self._task)
        except Exception as error:
            self._error = "" if self._is_cancelled else give_reason(error)
        self._has_ended = True

    def open_attempt(self, host: str) -> int:
        """Begin an attempt on a machine, and return its number. Former attempts have lost their place."""
        self._attempt, self._host, self._heard = self._attempt + 1, host, time.monotonic()
        replace_file(self._attempts_file, str(self._attempt).encode())
        return self._attempt

    def download(self, marks: Marks) -> Changes:
        """Read what the folder of a new attempt lacks."""
        self._heard = time.monotonic()
        return read_changes(self._folder, marks)

    def exchange(self, attempt: int, changes: Changes, marks: Marks) -> Answer:
        """Take what a task has for the copy, and answer what is there for it.

        Args:
            attempt: The number of the task's attempt.
            changes: What the copy lacks.
            marks: What the task's folder has.
        """
        if attempt != self._attempt or self._is_cancelled:
            return Answer(False, {}, Changes(), None)
        self._heard = time.monotonic()
        apply_changes(self._folder, changes)
        number, self._signal = self._signal, None
        return Answer(True, self.list_marks(), read_changes(self._folder, marks, is_command_log), number)

    def report(self, marks: Marks, commands: Changes, number: int | None) -> Report:
        """Tell the user's machine how the run stands, and take what it has for the run.

        Args:
            marks: What the user's folder has.
            commands: What the copy lacks of the user's commands.
            number: The number of a signal for the run's process.
        """
        apply_changes(self._folder, commands)
        self._signal = number or self._signal
        is_silent = not self._attempt or time.monotonic() - self._heard >= _SILENT_SECONDS
        state: LeaseState = "waiting" if is_silent else "working"
        if self._has_ended:
            state = "ended"
        changes = read_changes(self._folder, marks, is_of_run)
        return Report(state, self._host, self._attempt, self._error, self.list_marks(), changes)

    def close(self) -> None:
        """End the run, if it goes on, and the relay: nobody wants its copy any more."""
        self._is_cancelled = True
        if self.has_begun() and not self._has_ended:
            ray.cancel(self._task)  # interrupts it, so that it removes its folder, without which the run's process ends
            self._waiting.join(_END_SECONDS)
        shutil.rmtree(_find_place(self._name), ignore_errors=True)
        ray.kill(ray.get_runtime_context().current_actor)


def do_relayed_attempt(name: str, launch: str, environment: Mapping[str, str]) -> int:
    """Do an attempt at a run in a folder of the machine that Ray has chosen, and send the relay what it writes.

    Args:
        name: The name of the relay.
        launch: The start of the run.
        environment: Variables that the run's process gets.

    Returns:
        The exit code of the run's process.

    Raises:
        RunError: This machine cannot do the recipe, such as where files that it names are missing.
        WorkerKilledError: The run's process was killed.
    """
    relay: Any = ray.get_actor(name, NAMESPACE)
    host = socket.gethostname()
    number: int = ray.get(relay.open_attempt.remote(host))
    place = _find_place(f"{name}.{number}")
    for former in place.parent.glob(f"{glob.escape(name)}.*"):  # what a task has left here that was killed
        shutil.rmtree(former, ignore_errors=True)
    folder = place / name
    try:
        while changes := ray.get(relay.download.remote(list_marks(folder))):
            apply_changes(folder, changes)
        try:
            recipes.load(RunFolder(folder).recipe_file)  # finds files that only the user's machine has
        except RecipeError as error:
            raise RunError(f"{host} cannot do it: {error}; without a shared disk, files lie on each machine") from error
        lease = Lease(launch=launch, engine="ray", state="waiting", seconds=read_seconds())
        RunFolder(folder).leases.claim(lease, 0)
        attempt = Attempt(folder, launch, {**environment, TIED: str(os.getpid())}, name)
        attempt.start()
        code = _send_until_end(relay, number, folder, attempt)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if attempt.was_lost(code):
        raise WorkerKilledError(f"signal {-code} has ended the run's process")
    return code


def _send_until_end(relay: Any, number: int, folder: Path, attempt: Attempt) -> int:
    """Send what a run's process writes until it has ended and all is sent, and return its exit code."""
    changes, code = Changes(), None
    while True:
        marks = {path: mark for path, mark in list_marks(folder).items() if is_command_log(path)}
        answer: Answer = ray.get(relay.exchange.remote(number, changes, marks))
        if not answer.is_wanted:
            attempt.interrupt(signal.SIGKILL)
            attempt.wait()
            return SUPERSEDED
        apply_changes(folder, answer.commands)
        if answer.signal:
            attempt.stop(answer.signal)
        if code is None and (code := attempt.poll()) is not None and not attempt.was_lost(code):
            attempt.end()  # waits for trackers, which write to the folder
        changes = read_changes(folder, answer.marks, is_of_run)
        if not changes:
            if code is not None:
                return code
            time.sleep(_POLL_SECONDS)


def find_relay(name: str) -> Any | None:
    """Find the relay of a run in the cluster to which this process is connected; None where there is none."""
    try:
        return ray.get_actor(name, NAMESPACE)
    except ValueError:
        return None


def make_relay(folder: Path, launch: str, environment: Mapping[str, str], options: Mapping[str, str]) -> None:
    """Have a run done in the cluster to which this process is connected, unless it goes on there since a former start.

    Args:
        folder: The run's folder on this machine.
        launch: The start of the run.
        environment: Variables that the run's process gets.
        options: Those of the target.
    """
    relay = find_relay(folder.name)
    try:
        if relay and ray.get(relay.has_begun.remote(), timeout=_WAIT_SECONDS):
            return
    except RayActorError:  # the end of a former start has just closed it
        relay = None
    if relay is None:
        kind: Any = ray.remote(Relay).options(**make_actor_options(folder.name))
        relay = kind.remote(folder.name, launch, environment, options)
    marks: Marks = ray.get(relay.list_marks.remote())
    while changes := read_changes(folder, marks):
        marks = ray.get(relay.upload.remote(changes))
    ray.get(relay.begin.remote())


def _find_place(name: str) -> Path:
    """Find where this machine keeps a copy."""
    return user_folders.cache() / "relayed" / name
