"""How a run's process takes commands and signals, and what it and its job tell each other."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import msgspec

from ftapp.common.errors import RunError
from ftapp.common.full_disk import FullDisk
from ftapp.common.safe_files import UNREADABLE, explain_error
from ftapp.common.tail_reader import Tail
from ftapp.runs.commands import LONGEST_REASON, AnyCommand, Freeze, Pause, Rate, Resume, Stop, Unfreeze, Word
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_types import Status
from ftapp.runs.events import Controlled
from ftapp.runs.launcher import AT_ONCE, STOP_SIGNALS, name_end
from ftapp.runs.run_folder import RunFolder

PATIENCE_SECONDS = 10.0
"""How long a run that is asked to end waits for room on its disk."""
_WAIT_SECONDS = 0.1
_LOOK_SECONDS = 1.0  # between two looks for the run's folder

_decoder = msgspec.json.Decoder(AnyCommand)


class _UnknownCommand(msgspec.Struct):
    id: Word
    command: Word


class Control:
    """What a run's process takes from outside, and what it and its job tell each other.

    Each of STOP_SIGNALS and the command Stop is a request to end after the current step and to save; how often it comes
    makes no difference, since batch systems signal a command and its run alike. While there is nothing to lose, a
    signal ends the run at once, and so does AT_ONCE at any time but while the run saves. The job sets `can_wait`
    when there is something to lose. A closed terminal (SIGHUP) is no matter of a run.

    The first request decides the status with which the run ends. The end of its time is a request too, once this
    process has made a step, so that a run which is resumed again and again comes to its end.

    A run that is asked to end while it waits for room on its disk waits for PATIENCE_SECONDS more, and then ends as by
    AT_ONCE. A batch system would kill it soon, and that costs the same: the steps since the newest checkpoint.

    Attributes:
        stop_status: The status with which the run is to end after its current step; None while it goes on.
        can_wait: Whether there is something to lose.
        ends_at: When the run's time is over, in seconds of `time.monotonic`.
        confirm_writing: Ends this process if another one has taken the run over (`ftapp.runs.held_lease`).
    """

    def __init__(
        self,
        run: RunFolder,
        log: EventLog,
        disk: FullDisk | None = None,
        locate: Callable[[], tuple[int, int]] = lambda: (0, 0),
        *,
        elapsed: float = 0.0,
        skip: int = 0,
        ends_at: float = math.inf,
    ) -> None:
        """Listen to a run's file.

        Args:
            run: The run.
            log: Where commands are answered.
            disk: Lets the run wait while its disk is full; without it that is an OSError.
            locate: Gives the index of the phase, and the steps of the run that are done.
            elapsed: What the clock shows at first, in seconds.
            skip: Bytes of the file that an earlier process of the run has read.
            ends_at: When the run's time is over, in seconds of `time.monotonic`.
        """
        self._folder, self._log, self._disk, self._locate = run.folder, log, disk, locate
        self._start = time.perf_counter() - elapsed
        self.ends_at, self._first_step = ends_at, self.steps
        self._file, self._tail = run.control_file, Tail(run.control_file)
        self._tail.position = skip
        self._seen: set[str] = set()
        self._orders: deque[AnyCommand] = deque()
        self._paused, self._stood, self._next_look = False, 0.0, 0.0
        self.stop_status: Status | None = None
        self._stopped_at = math.inf
        self.can_wait = False
        self.confirm_writing: Callable[[], None] = disk.confirm if disk else lambda: None
        self._is_saving = self._has_raised = False
        if disk:
            disk.look = self._look_while_waiting

    def handle_signals(self) -> None:
        """Answer the signals that come to this process from here on. To be called in its main thread."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._request_stop)
        signal.signal(AT_ONCE, self._end_at_once)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    @property
    def stopping(self) -> bool:
        """Whether the run is to end after its current step."""
        return self.stop_status is not None

    @property
    def steps(self) -> int:
        """The steps of the run that are done."""
        return self._locate()[1]

    def should_stop(self) -> bool:
        """Return whether the run is to end after its current step.

        Raises:
            RunError: The run's folder was deleted.
        """
        self._update()
        return self.stopping

    def is_waiting(self) -> bool:
        """Return whether the run stands still on purpose: it is paused, or waits for room on its disk."""
        return self._paused or (self._disk is not None and self._disk.waiting)

    def has_work(self) -> bool:
        """Return whether `process_commands` has something to do.

        Raises:
            RunError: The run's folder was deleted.
        """
        self._update()
        return self.stopping or self._paused or bool(self._orders)

    def process_commands(self, apply_command: Callable[[AnyCommand], str | None]) -> bool:
        """Carry out the commands that have come, and wait while the run is paused.

        To be called between steps. It costs a look at the file's size when nothing has come.

        Args:
            apply_command: Carries out a command that is not for this object, and returns None, or the reason why not,
                in words.

        Returns:
            Whether the run goes on.

        Raises:
            RunError: The run's folder was deleted.
        """
        self._update()
        if self._orders or self._paused:
            begun = time.perf_counter()
            while True:
                while self._orders:
                    command = self._orders.popleft()
                    self._answer(command, self._apply(command, apply_command))
                if not self._paused or self.stopping:
                    break
                time.sleep(_WAIT_SECONDS)
                self._update()
            self._stood += time.perf_counter() - begun
        return not self.stopping

    def clock(self) -> float:
        """Seconds since the run began.

        The clock stands still while the run is paused, carries out commands, or waits for room on its disk.
        """
        waited = self._disk.seconds if self._disk else 0.0
        return time.perf_counter() - self._start - self._stood - waited

    def close(self) -> None:
        """Answer the commands that came too late."""
        self._read()
        while self._orders:
            self._answer(self._orders.popleft(), "the run has no step left")

    def _apply(self, command: AnyCommand, apply_command: Callable[[AnyCommand], str | None]) -> str | None:
        match command:
            case Pause():
                reason = "it is paused already" if self._paused else "it is ending" if self.stopping else None
                self._paused = self._paused or not reason
            case Resume():
                reason = None if self._paused else "it is not paused"
                self._paused = False
            case _:
                reason = apply_command(command)
        return reason

    def _update(self) -> None:
        """Take what has come to the file, and look at the time and for the folder."""
        self._read()
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            if self._log.is_lost():
                raise RunError(f"{self._folder} was deleted, so nothing of the run can be kept; its process ends")
        if now >= self.ends_at and self.steps > self._first_step:
            self._stop("unfinished")

    def _stop(self, status: Status) -> None:
        """Have the run end, with this status if this is the first request."""
        if self.stop_status is None:
            self.stop_status, self._stopped_at = status, time.monotonic()

    def _look_while_waiting(self, seconds: float) -> None:
        """Take what has come while the run waits for room, and end it where it was asked to end and none comes.

        Args:
            seconds: How long it has waited.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        self._read()
        # A trial is pruned by its sweep, which needs its end in the log.
        if self.stop_status == "pruned":
            return
        if min(seconds, time.monotonic() - self._stopped_at) >= PATIENCE_SECONDS:
            self._interrupt()

    def _read(self) -> None:
        """Take what has come to the file: stops at once, the rest when commands are processed."""
        try:
            size = os.stat(self._file).st_size  # noqa: PTH116 - a third of the time of Path.stat, at each step
        except OSError:
            return
        if size == self._tail.size:
            return
        caught_up = False
        while not caught_up:
            lines, caught_up = bytes(self._tail.read()), self._tail.caught_up
            for line in lines.split(b"\n")[:-1]:
                self._take(line)

    def _take(self, line: bytes) -> None:
        """Take one line of the file."""
        if line.strip():
            try:
                command = _decoder.decode(line)
            except UNREADABLE as error:
                self._refuse(line, explain_error(error))
                return
            self.take(command)

    def take(self, command: AnyCommand) -> None:
        """Take a command, unless it was taken before: a stop at once, others when commands are processed."""
        if command.id in self._seen:
            return
        self._seen.add(command.id)
        if isinstance(command, Stop):
            reason = "it is ending already" if self.stopping else None
            self._stop("pruned" if command.because else "interrupted")  # first, since the answer may wait for room
            self._answer(command, reason)
        else:
            self._orders.append(command)

    def _refuse(self, line: bytes, why: str) -> None:
        """Answer a line that is no command, if it says whom to answer."""
        with suppress(*UNREADABLE):
            unknown = msgspec.json.decode(line, type=_UnknownCommand)
            self._log.write(
                Controlled(
                    time=time.time(),
                    id=unknown.id,
                    command=unknown.command,
                    applied=False,
                    reason=why[:LONGEST_REASON],
                    phase_index=self._locate()[0],
                    step=self.steps,
                )
            )

    def _answer(self, command: AnyCommand, reason: str | None) -> None:
        self._log.write(
            Controlled(
                time=time.time(),
                id=command.id,
                command=command.name,
                applied=reason is None,
                reason=reason,
                phase_index=self._locate()[0],
                step=self.steps,
                rate=command.base if isinstance(command, Rate) else None,
                layers=command.layers if isinstance(command, Freeze | Unfreeze) else None,
                because=command.because if isinstance(command, Stop) else "",
            )
        )

    def save(self, write: Callable[[], None], size: int) -> None:
        """Write files into the run's folder once there is room.

        Meanwhile no signal ends the run, except AT_ONCE while it waits.

        Args:
            write: Writes the files.
            size: Their bytes in all.
        """
        self._is_saving = True
        try:
            if self._disk:
                self._disk.write(write, self._folder, size)
            else:
                write()
        finally:
            self._is_saving = False

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop(name_end(number))  # also where a library swallows what is raised
        if not self.can_wait:
            self._interrupt()

    def _end_at_once(self, number: int, frame: FrameType | None) -> None:
        self._stop(name_end(number))
        if not self._is_saving or (self._disk and self._disk.waiting):
            self._interrupt()

    def _interrupt(self) -> None:
        """Raise KeyboardInterrupt, once: while the run ends itself nothing interrupts it."""
        if not self._has_raised:
            self._has_raised = True
            if self._disk:
                self._disk.is_patient = False
            raise KeyboardInterrupt
