"""Tells when a process is stuck: it computes nothing, and waits for nothing that may still come."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from ftapp.common import downloads, http_requests, locks, package_index

STUCK_SECONDS = 600.0
_INTERVAL_SECONDS = 5.0
# Less than this share of one core is nothing: an idle process with TensorFlow's threads takes less than a thousandth.
_IDLE = 0.01
# Code that may wait for long without computing: for other processes, and for what comes over a network.
_PATIENT_MODULES = tuple(module.__name__ for module in (downloads, http_requests, locks, package_index))
_PATIENT_PACKAGES = ("kagglehub", "huggingface_hub", "requests", "urllib3", "tensorflow_datasets")


class Watchdog:
    """Watches its own process from a thread, by the processor time that it uses.

    A step may take minutes, on a processor or while a device computes, so that only a long time without any progress
    counts. A process that was suspended or swapped out is not blamed for it: time counts while this thread runs.
    """

    def __init__(
        self,
        stands: Callable[[], bool],
        end: Callable[[str], None],
        *,
        seconds: float = STUCK_SECONDS,
        interval: float = _INTERVAL_SECONDS,
    ) -> None:
        """Start watching.

        Args:
            stands: whether the process stands still on purpose.
            end: is told in words that the process is stuck, once, in the watching thread.
            seconds: so long without progress is stuck.
            interval: seconds between two looks.
        """
        self._stands, self._end, self._seconds, self._interval = stands, end, seconds, interval
        self._main = threading.current_thread().ident or 0
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _watch(self) -> None:
        idle, used = 0.0, time.process_time()
        while not self._over.wait(self._interval):
            before, used = used, time.process_time()
            if used - before > _IDLE * self._interval or self._stands() or self._waits():
                idle = 0.0
                continue
            idle += self._interval
            if idle >= self._seconds:
                self._end(
                    f"the run's process is stuck: it has computed nothing for {self._seconds / 60:.0f} minutes and "
                    "waits for nothing; too little memory is the most likely cause, and a smaller batch_size takes less"
                )
                return

    def _waits(self) -> bool:
        """Whether the thread that is watched is in code that may wait for long."""
        frame = sys._current_frames().get(self._main)  # noqa: SLF001 - documented
        while frame is not None:
            module = str(frame.f_globals.get("__name__"))
            if module in _PATIENT_MODULES or module.partition(".")[0] in _PATIENT_PACKAGES:
                return True
            frame = frame.f_back
        return False
