"""The load of the processor and the GPU as events, every few seconds of a training."""

from __future__ import annotations

import time
from collections.abc import Callable

from ftapp.runs.event_log import EventLog
from ftapp.runs.events import GpuUsed, ProcessorUsed
from ftapp.training.batch import StepResult
from ftapp.training.callbacks.callback import Callback
from ftapp.training.cpu_share import ProcessorLoad
from ftapp.training.gpu_monitor import GpuMonitor
from ftapp.training.state import TrainState

_SECONDS = 5.0


class MachineLog(Callback):
    """Writes the load of the processor and of a GPU after a step, at most once in five seconds."""

    def __init__(self, log: EventLog, monitor: GpuMonitor | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to a log.

        Args:
            log: The event log.
            monitor: The monitor of the GPU; None where nothing is known of one.
            clock: Returns seconds.
        """
        self._log, self._monitor, self._clock = log, monitor, clock
        self._processor = ProcessorLoad()
        self._next = clock() + _SECONDS

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Write the load, if it is time."""
        if (now := self._clock()) < self._next:
            return
        self._next = now + _SECONDS
        own, others = self._processor.measure()
        self._processor.begin()
        step = state.position.run_step
        self._log.write(ProcessorUsed(time=time.time(), step=step, own=own, others=others))
        if self._monitor and (load := self._monitor.read()):
            self._log.write(GpuUsed(time=time.time(), step=step, busy=load.busy, used=load.used, memory=load.memory))
