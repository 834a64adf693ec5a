"""The process that brings the files of a run in a Ray cluster to this machine, which shares no disk with the cluster.

It asks the run's relay (`ftapp.launchers.ray_relay`) again and again, hands on commands and signals, and holds the
run's lease here. When the connection is lost it connects anew: meanwhile the relay keeps what the run writes.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import ray
from ray.exceptions import RayActorError

from ftapp.launchers.folder_copy import apply_changes, is_command_log, list_marks, read_changes
from ftapp.launchers.ray_relay import Report, find_relay
from ftapp.launchers.ray_submit import connect
from ftapp.launchers.stop import write_end
from ftapp.runs.leases import RENEWALS, LeaseState
from ftapp.runs.run_folder import RunFolder

_POLL_SECONDS = 0.5
_AGAIN_SECONDS = 3.0
_TRIES = 3  # after which a cluster that does not know the run has lost it
_ANSWER_SECONDS = 60.0  # for 8 MiB over a slow line
_SILENT_SECONDS = 60.0  # without the cluster, after which the run counts as waiting, so that its user can cancel it
_LONGEST_SECONDS = 3600.0  # without the cluster, for which it is to be told that nobody wants its copy any more


class Fetcher:
    """Keeps a run's folder as the relay's copy is."""

    def __init__(self, folder: Path, address: str, name: str) -> None:
        """Prepare to fetch.

        Args:
            folder: The run's folder, with a lease that was made for this start.
            address: The cluster's.
            name: The relay's name.

        Raises:
            ValueError: The folder has no lease.
        """
        self._run, self._address, self._name = RunFolder(folder), address, name
        entry = self._run.leases.find_newest()
        if entry is None:
            raise ValueError(f"{folder} has no lease")
        self._number, self._lease = entry.number, msgspec.structs.replace(entry.lease, job=name)
        self._signal: int | None = None
        self._heard, self._missed, self._has_ended = time.monotonic(), 0, False

    def fetch(self) -> None:
        """Fetch until the run has ended, or is not wanted any more."""
        threading.Thread(target=self._renew, name="lease", daemon=True).start()
        while True:
            try:
                connect(self._address)
                self._fetch()
                return
            except (Exception, SystemExit) as error:
                if isinstance(error, SystemExit) and not isinstance(error.code, str):  # a signal, rather than `connect`
                    raise
                print(f"{time.ctime()}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                if self._has_ended:  # its user need not wait until the relay is closed
                    self._hold("ended", "", self._lease.attempt)
            finally:
                with suppress(Exception):
                    ray.shutdown()
            silent = time.monotonic() - self._heard
            if silent >= _LONGEST_SECONDS and (self._has_ended or not self._is_wanted()):
                return  # the cluster, which would be told so, is gone
            if silent >= _SILENT_SECONDS and self._lease.state == "working":
                self._hold("waiting", "", self._lease.attempt)
            time.sleep(_AGAIN_SECONDS)

    def _fetch(self) -> None:
        """Fetch over one connection. Raises various errors where it is lost."""
        relay = find_relay(self._name)
        if relay is None and not self._has_ended and self._is_wanted():
            self._missed += 1
            if self._missed < _TRIES:
                raise ConnectionError(f"the cluster does not know the run, {self._missed} of {_TRIES} times")
            self._end("the cluster has lost the run: its head node was started anew")
        if relay is not None:
            self._exchange(relay)
            if not self._is_taken_over():
                with suppress(RayActorError):  # it ends in the midst of its answer
                    ray.get(relay.close.remote(), timeout=_ANSWER_SECONDS)
        if self._has_ended:
            self._hold("ended", "", self._lease.attempt)

    def _exchange(self, relay: Any) -> None:
        """Fetch from the relay until the run has ended, or is not wanted any more."""
        self._missed = 0
        marks = ray.get(relay.list_marks.remote(), timeout=_ANSWER_SECONDS)
        while not self._has_ended and self._is_wanted():
            self._signal = self._run.leases.take_signal(self._number) or self._signal
            commands = read_changes(self._run.folder, marks, is_command_log)
            asked = relay.report.remote(list_marks(self._run.folder), commands, self._signal)
            report: Report = ray.get(asked, timeout=_ANSWER_SECONDS)
            self._signal, self._heard, marks = None, time.monotonic(), report.marks
            apply_changes(self._run.folder, report.changes)
            if report.changes:
                continue
            # The lease ends once the relay is closed, so that a later start makes a relay of its own.
            state = self._lease.state if report.state == "ended" else report.state
            self._hold(state, report.host, report.attempt)
            if report.state == "ended":
                self._end(f"Ray has given the run up: {report.error}" if report.error else "")
            else:
                time.sleep(_POLL_SECONDS)

    def _is_wanted(self) -> bool:
        """Return whether nobody has cancelled the run here, taken it over, or removed it."""
        try:
            return self._run.leases.is_newest(self._number)
        except OSError:
            return self._run.folder.is_dir()

    def _is_taken_over(self) -> bool:
        """Return whether a later start of the run goes on with the relay."""
        entry = self._run.leases.find_newest()
        return (
            entry is not None
            and entry.number != self._number
            and entry.lease.target == self._lease.target
            and entry.lease.state != "ended"
        )

    def _end(self, error: str) -> None:
        """Take note that the run has come to its end. error: the reason, if Ray has ended it."""
        if error:
            write_end(self._run, "failed", error)
        self._has_ended = True

    def _hold(self, state: LeaseState, host: str, attempt: int) -> None:
        """Write into the lease how the run stands."""
        lease = msgspec.structs.replace(self._lease, state=state, host=host, attempt=attempt)
        if lease != self._lease:
            self._lease = lease
            self._write()

    def _write(self) -> None:
        with suppress(OSError):
            if self._run.leases.is_newest(self._number):
                self._run.leases.replace(self._number, self._lease)

    def _renew(self) -> None:
        """Renew the lease while this process lives. Runs in a thread."""
        while True:
            time.sleep(self._lease.seconds / RENEWALS)
            self._write()


if __name__ == "__main__":
    Fetcher(Path(sys.argv[1]), sys.argv[2], sys.argv[3]).fetch()
