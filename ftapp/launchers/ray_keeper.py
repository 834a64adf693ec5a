"""The keeper of a run in a Ray cluster, and the task that it has done. Only processes of Ray import this.

The keeper is a detached actor on the head node: it goes on when its client has gone, and takes no processor. It has
the run done by a task, which Ray starts on a machine with room, and again on another one when a machine is lost. While
the run waits for a machine the keeper renews its lease.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import ray

from ftapp.common.errors import RunError
from ftapp.launchers.attempt import Attempt
from ftapp.launchers.stop import write_end
from ftapp.runs.leases import RENEWALS
from ftapp.runs.run_folder import RunFolder

NAMESPACE = "ftapp"
"""Where the actors of ftapp are found in a cluster."""

ANSWER_SECONDS = 60.0
"""How long a client waits for the answer of a new keeper."""

_RETRIES = 10
# The share of a lease's time without a renewal after which its machine is lost: before readers take the run for ended.
_LOST = 2 / 3
_HEAD = "node:__internal_head__"
"""The resource that only the head node of a cluster has."""


class WorkerKilledError(Exception):
    """The run's process was killed, and another attempt is made."""


def do_attempt(folder: str, launch: str, environment: Mapping[str, str], name: str) -> int:
    """Do an attempt at a run on the machine that Ray has chosen.

    Args:
        folder: The run's folder.
        launch: The start of the run.
        environment: Variables that the run's process gets.
        name: The name of the keeper.

    Returns:
        The exit code of the run's process.

    Raises:
        RunError: This machine does not see the folder.
        WorkerKilledError: The process was killed.
    """
    if not Path(folder).is_dir():
        raise RunError(explain_missing(folder, socket.gethostname()))
    attempt = Attempt(Path(folder), launch, environment, name)
    if not attempt.start():
        return 0
    code = attempt.wait()
    if attempt.was_lost(code):
        attempt.wait_again()
        raise WorkerKilledError(f"signal {-code} has ended the run's process")
    attempt.end()
    return code


def explain_missing(folder: str, host: str) -> str:
    """Explain that a machine does not see a run's folder, and what to do."""
    return (
        f"{host} does not see {folder}; without a shared disk a target has the option shared=no, such as --on "
        "'ray://HOST?shared=no'"
    )


class Keeper:
    """Has a run done."""

    def __init__(
        self, name: str, folder: str, launch: str, environment: Mapping[str, str], options: Mapping[str, str]
    ) -> None:
        """Begin; also again where the keeper was lost.

        Args:
            name: The name of the keeper.
            folder: The run's folder.
            launch: The start of the run.
            environment: Variables that the run's process gets.
            options: Those of the target.
        """
        self._name, self._run, self._launch = name, RunFolder(Path(folder)), launch
        self._task: Any = None
        if self._run.folder.is_dir():
            task = ray.remote(do_attempt).options(**make_task_options(name, options))
            self._task = task.remote(folder, launch, environment, name)
        threading.Thread(target=self._keep, name="keeper", daemon=True).start()

    def has_begun(self) -> bool:
        """Return whether the run was begun; not where the head node does not see its folder."""
        return self._task is not None

    def _keep(self) -> None:
        """Keep the run until its task has ended or the launch was cancelled, and end."""
        me = ray.get_runtime_context().current_actor
        if self._task is None:
            time.sleep(ANSWER_SECONDS)  # for the client, which asks whether it has begun
            ray.kill(me)
        while True:
            done, _ = ray.wait([self._task], timeout=1.0)
            if done or not self._tend():
                break
        if not done:
            ray.cancel(self._task, force=True)
        else:
            try:
                ray.get(self._task)
            except Exception as error:
                self._give_up(give_reason(error))
        ray.kill(me)

    def _tend(self) -> bool:
        """Renew the lease of a run that waits for a machine, and return whether the launch is still wanted."""
        leases = self._run.leases
        entry = leases.find_newest()
        if entry is None or entry.lease.launch != self._launch:
            return self._run.folder.is_dir() and entry is None  # the file server may not answer
        lease = entry.lease
        with suppress(OSError):
            if lease.state == "waiting" and time.time() - entry.renewed >= lease.seconds / RENEWALS:
                leases.replace(entry.number, msgspec.structs.replace(lease, job=self._name))
            elif lease.state == "working" and leases.is_expired(entry, _LOST):
                leases.claim(msgspec.structs.replace(lease, state="waiting", host="", pid=0), entry.number)
        return True

    def _give_up(self, reason: str) -> None:
        """Write down that Ray tries no longer."""
        entry = self._run.leases.find_newest()
        if entry and entry.lease.launch == self._launch and entry.lease.state != "ended":
            write_end(self._run, "failed", f"Ray has given the run up: {reason}")
            with suppress(OSError):
                self._run.leases.replace(entry.number, msgspec.structs.replace(entry.lease, state="ended"))


def give_reason(error: Exception) -> str:
    """Give the reason of an error of Ray, whose message may have a traceback before it."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def make_keeper(name: str, *arguments: Any) -> Any:
    """Make the keeper of a run in the cluster to which this process is connected.

    Args:
        name: Its name.
        arguments: Those of `Keeper` behind its name.

    Returns:
        The actor.
    """
    return ray.remote(Keeper).options(**make_actor_options(name)).remote(name, *arguments)


def make_actor_options(name: str) -> dict[str, Any]:
    """Make Ray's options of an actor on the head node that outlives its client, and is started again if it is lost."""
    return {
        "name": name,
        "lifetime": "detached",
        "num_cpus": 0,
        "resources": {_HEAD: 0.001},
        "max_restarts": -1,
        "max_task_retries": -1,
    }


def make_task_options(name: str, options: Mapping[str, str]) -> dict[str, Any]:
    """Make Ray's options of the task that does a run.

    Args:
        name: Its name.
        options: Those of the target.
    """
    return {
        "name": name,
        "num_cpus": int(options.get("cpus", 1)),
        "num_gpus": float(options.get("gpus", 0)),
        "max_retries": int(options.get("retries", _RETRIES)),
        "retry_exceptions": [WorkerKilledError],
        **({"memory": _parse_memory(options["mem"])} if "mem" in options else {}),
    }


def _parse_memory(text: str) -> int:
    """Parse a size such as 16G into bytes."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    unit = text.upper().removesuffix("B")[-1:]
    return int(float(text.upper().removesuffix("B").rstrip("KMGT")) * units.get(unit, 1))
