"""Leases: which machine works on a run's folder on a shared disk, where a lock does not reach from one to another.

The folder `leases` of a run holds a file for each holder, `0001.json`, `0002.json` and so on; the newest one counts.

- Whoever wants to work on the run makes the next file. The file system gives each name to one process alone.
- The holder renews its own file every few seconds. A lease that was not renewed for long has expired.
- A holder that finds a newer file has lost its lease, and ends without writing to the run.

So no renewal can undo a take-over, and the numbers only grow (a *fencing token*).
Whether a lease has expired is judged by the clock of the file server alone: two machines need not agree on the time.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ftapp.common.errors import RunError
from ftapp.common.safe_files import UNREADABLE, open_file
from ftapp.runs import slurm_queue

LEASE_SECONDS = "FTAPP_LEASE_SECONDS"
"""The variable that says after how many seconds a lease that is not renewed has expired."""
LeaseState = Literal["waiting", "working", "ended"]
"""Whether a run waits for a machine, works on one, or has ended."""
RENEWALS = 6
"""How often a lease is renewed in the time after which it would have expired."""

_SECONDS = 30.0  # Linux's NFS client may keep the attributes of a folder for as long
_SKEW_SECONDS = 60.0  # for which the difference of two clocks is taken to stay

_NAME = re.compile(r"([0-9]{4,9})\.json")
_LARGEST = 65_536  # bytes of a file

_skews: dict[int, tuple[float, float]] = {}  # by file system: when it was measured, seconds


class Lease(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the file of a lease says.

    Attributes:
        launch: A random word for one start of the run. All its leases have it, however often an engine tries again.
        engine: What starts processes elsewhere; "local" for a start on one machine, which holds a lock instead.
        target: Where the run was sent, as `--on` takes it.
        state: Whether it waits for a machine, works on one, or has ended.
        host: The name of the machine that wrote the file.
        pid: The number of the run's process there; 0 while there is none.
        job: The name of the job in the engine; "" before it has one.
        attempt: How often a process was started in this launch.
        seconds: After how many seconds without a renewal it has expired.
    """

    launch: str
    engine: Literal["local", "slurm", "ray"]
    target: str = "local"
    state: LeaseState
    host: str = ""
    pid: int = 0
    job: str = ""
    attempt: int = 0
    seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = _SECONDS

    @property
    def is_fetched(self) -> bool:
        """Whether the run is in a cluster that does not see its folder, from where its files are fetched."""
        return "shared=no" in self.target.partition("?")[2].split("&")

    def describe(self, reason: str = "") -> str:
        """Describe it in words: where the run waits or works.

        Args:
            reason: Why it waits, in the engine's words.
        """
        engine = self.engine.capitalize()
        job = f"job {self.job}" if self.job else "no job yet"
        if reason:
            job = f"{job}: {reason}"
        if self.state == "waiting":
            return f"waits in {engine}'s queue ({job})"
        return f"works on {self.host} ({engine}, {job})" if self.state == "working" else "has ended"


@dataclass(frozen=True)
class LeaseEntry:
    """A lease in its folder.

    Attributes:
        number: The number of its file.
        lease: What the file says.
        renewed: When it was renewed, in seconds since the Unix epoch by the file server's clock.
        device: The number of its file system on this machine.
    """

    number: int
    lease: Lease
    renewed: float
    device: int

    def find_reason(self) -> str:
        """Find why the run waits, in Slurm's words; "" where that is not known. Asks as `slurm_queue.find_reason`."""
        lease = self.lease
        is_queued = lease.engine == "slurm" and lease.state == "waiting" and lease.job
        return slurm_queue.find_reason(lease.job) if is_queued else ""

    def describe(self) -> str:
        """Describe in words where the run waits or works, and why it waits. Asks as `find_reason`."""
        return self.lease.describe(self.find_reason())


class LeaseFolder:
    """The leases of a run."""

    def __init__(self, folder: Path) -> None:
        """Look at a folder, which need not exist.

        Args:
            folder: The folder.
        """
        self.folder = folder

    def find_newest(self) -> LeaseEntry | None:
        """Find the lease that counts; None where there is none that can be read."""
        number = self._find_last()
        if not number:
            return None
        try:
            with open_file(self._name(number)) as file:
                lease, found = msgspec.json.decode(file.read(_LARGEST), type=Lease), os.fstat(file.fileno())
        except (OSError, *UNREADABLE):
            return None
        return LeaseEntry(number, lease, found.st_mtime, found.st_dev)

    def find_living(self) -> LeaseEntry | None:
        """Find the lease of a run that waits for a machine or works on one; None where there is none.

        Slurm is asked about a lease that nobody renews: a job that waits in its queue has no process. That may take
        seconds, so the interface's own thread does not call this.
        """
        entry = self.find_newest()
        if entry is None or entry.lease.state == "ended":
            return None
        if not self.is_expired(entry):
            return entry
        if entry.lease.engine != "slurm" or not entry.lease.job:
            return None
        match slurm_queue.find_job_state(entry.lease.job):
            case "waiting":
                return _with_state(entry, "waiting")
            case "working":
                return entry
            case "unknown":
                return entry if entry.lease.state == "waiting" else None
            case _:
                return None

    def describe_queue(self) -> str:
        """Describe in which queue the run waits, and why; "" where it does not wait. Asks as `find_living`."""
        entry = self.find_living()
        return entry.describe() if entry and entry.lease.state == "waiting" else ""

    def is_expired(self, entry: LeaseEntry, part: float = 1.0) -> bool:
        """Return whether a lease was not renewed for its time, or for a part of it.

        This machine's clock decides alone where it finds the lease young. Else the file server's is asked: this clock
        may be wrong.
        """
        age, seconds = time.time() - entry.renewed, part * entry.lease.seconds
        if 0 <= age < seconds:
            return False
        return age + self._measure_skew(entry.device) >= seconds

    def claim(self, lease: Lease, after: int) -> int:
        """Make a lease the one that counts.

        Args:
            lease: The lease.
            after: The number of the lease that it replaces; 0 for none.

        Returns:
            Its number.

        Raises:
            RunError: Another process has replaced that lease first.
            OSError: The folder cannot be written.
        """
        self.folder.mkdir(exist_ok=True)
        number = after + 1
        scratch = self._write_scratch(lease)
        try:
            os.link(scratch, self._name(number))
        except FileExistsError as error:
            raise RunError(f"{self.folder.parent.name} goes on already: another process has taken it over") from error
        finally:
            scratch.unlink()
        return number

    def take_over(self, lease: Lease) -> int:
        """Claim the next lease where no other lives. Raises RunError where one does, and as `claim`."""
        if entry := self.find_living():
            raise RunError(f"{self.folder.parent.name} goes on already: it {entry.lease.describe()}")
        return self.claim(lease, self._find_last())

    def fence(self) -> None:
        """Have every former holder end without writing, before the run goes on on this machine. Raises as `take_over`.

        Nothing is written for a run that never had a lease.
        """
        if self._find_last():
            self.take_over(Lease(launch=make_launch(), engine="local", state="ended"))

    def replace(self, number: int, lease: Lease) -> None:
        """Write a lease anew, as its holder.

        Args:
            number: Its number.
            lease: What the file says from now on.

        Raises:
            OSError: The folder cannot be written.
        """
        try:
            self._write_scratch(lease).replace(self._name(number))
        except OSError:
            os.utime(self._name(number))  # a full disk has room for that

    def is_newest(self, number: int) -> bool:
        """Return whether no newer lease than this one has been made. Raises OSError where the folder is not there."""
        return max(self._list_numbers(), default=0) <= number

    def send_signal(self, number: int, signal: int) -> None:
        """Leave a signal for the process that holds a lease. Raises OSError where the folder cannot be written.

        Args:
            number: The number of the lease.
            signal: The number of the signal.
        """
        self._name(number, "signal").write_text(str(signal))

    def take_signal(self, number: int) -> int | None:
        """Take the signal that was left for the holder of a lease; None where there is none."""
        file = self._name(number, "signal")
        try:
            found = int(file.read_text())
        except (OSError, ValueError):  # it is being written
            return None
        with suppress(OSError):
            file.unlink()
        return found

    def _find_last(self) -> int:
        try:
            return max(self._list_numbers(), default=0)
        except OSError:
            return 0

    def _list_numbers(self) -> list[int]:
        with os.scandir(self.folder) as entries:
            return [int(found[1]) for entry in entries if (found := _NAME.fullmatch(entry.name))]

    def _name(self, number: int, kind: str = "json") -> Path:
        return self.folder / f"{number:04}.{kind}"

    def _write_scratch(self, lease: Lease) -> Path:
        scratch = self.folder / f".{secrets.token_hex(4)}.tmp"
        try:
            scratch.write_bytes(msgspec.json.format(msgspec.json.encode(lease)) + b"\n")
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        return scratch

    def _measure_skew(self, device: int) -> float:
        """Measure by how many seconds the file server's clock is ahead; 0 where nothing can be written."""
        measured, skew = _skews.get(device, (-_SKEW_SECONDS, 0.0))
        if time.monotonic() - measured >= _SKEW_SECONDS:
            try:
                with tempfile.TemporaryFile(dir=self.folder) as file:
                    file.write(b".")
                    file.flush()
                    os.fsync(file.fileno())
                    skew = os.fstat(file.fileno()).st_mtime - time.time()
            except OSError:
                skew = 0.0
            _skews[device] = time.monotonic(), skew
        return skew


def make_launch() -> str:
    """Make a random word for one start of a run."""
    return secrets.token_hex(4)


def read_seconds() -> float:
    """Read after how many seconds a lease that is not renewed has expired."""
    return float(os.environ.get(LEASE_SECONDS) or _SECONDS)


def _with_state(entry: LeaseEntry, state: LeaseState) -> LeaseEntry:
    lease = msgspec.structs.replace(entry.lease, state=state)
    return LeaseEntry(entry.number, lease, entry.renewed, entry.device)
