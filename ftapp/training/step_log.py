"""The steps of a run as events, told once the device is through with them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import psutil

from ftapp.common.errors import NotFiniteError
from ftapp.recipe import Phase
from ftapp.runs.commands import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import Stepped
from ftapp.training.instrumented_model import beside_loss, values
from ftapp.training.last_good import LastGood


@dataclass(frozen=True)
class _Step:
    """A step that was given to the device. results: as `ftapp.training.instrumented_model.values` takes them."""

    number: int
    epoch: int
    rate: float
    results: Any


class StepLog:
    """Counts a run's steps and writes their events in order.

    is_late: a step's results are read, which waits for the device, when the next one was given to it, so that it never
    waits for Python. A step's time is then the time between the ends of two steps. Otherwise they are read at once.
    good: is told of the weights with which a loss was finite. seconds: of each step of the phase that was told; peak:
    the most resident bytes at the end of one.
    """

    def __init__(self, log: EventLog, control: Control, good: LastGood, *, is_late: bool) -> None:
        self._log, self._control, self._good, self._is_late = log, control, good, is_late
        self._phase: Phase
        self._process = psutil.Process()
        self._waiting: _Step | None = None
        self._since = 0.0
        self._used = self._cores()
        self.seconds: list[float] = []
        self.peak = 0

    def begin_phase(self, phase: Phase) -> None:
        """Forget the times of the phase before."""
        self._phase = phase
        self.seconds, self.peak, self._used = [], 0, self._cores()

    def others(self) -> float:
        """The share of all cores' time since the phase began in which other processes computed, 0..1."""
        whole, foreign = (now - then for now, then in zip(self._cores(), self._used, strict=True))
        return min(1.0, max(0.0, foreign / whole)) if whole > 0 else 0.0

    def _cores(self) -> tuple[float, float]:
        """Seconds of all cores since the machine started, and those of them that other processes computed."""
        times, own = psutil.cpu_times()._asdict(), self._process.cpu_times()
        kinds = ("user", "nice", "system", "irq", "softirq", "steal")  # guests count as user
        busy = sum(times.get(kind, 0.0) for kind in kinds)
        return busy + times["idle"] + times.get("iowait", 0.0), busy - own.user - own.system

    def begin_step(self) -> None:
        """Time a step from now, unless the one before is not told yet."""
        if self._waiting is None:
            self._since = self._control.clock()

    def leave_out(self, seconds: float) -> None:
        """Do not count these seconds, which have just passed, as a step's."""
        self._since += seconds

    def given(self, results: Any, epoch: int, rate: float) -> None:
        """A step was given to the device.

        Raises NotFiniteError when the loss of a step that is told now is not finite.
        """
        self._control.steps += 1
        former, self._waiting = self._waiting, _Step(self._control.steps, epoch, rate, results)
        if former:
            self._tell(former)
        if not self._is_late:
            self.flush()

    def flush(self) -> None:
        """Tell all steps that were given to the device. Raises NotFiniteError when a loss is not finite."""
        last, self._waiting = self._waiting, None
        if last:
            self._tell(last)

    def _tell(self, step: _Step) -> None:
        metrics, _ = values(step.results)
        loss = finite(metrics["loss"], step.number, self._phase, step.rate)
        self._good.confirm(step.number - 1)
        now, memory = self._control.clock(), self._process.memory_info().rss
        seconds, self._since = now - self._since, now
        self.peak = max(self.peak, memory)
        self.seconds.append(seconds)
        self._log.write(
            Stepped(
                time=time.time(),
                step=step.number,
                epoch=step.epoch,
                loss=loss,
                metrics=beside_loss(metrics),
                gradient_norm=metrics.get("gradient_norm"),
                rate=step.rate,
                seconds=seconds,
                memory=memory,
            )
        )


def finite(loss: float, step: int, phase: Phase, rate: float) -> float:
    """The loss. Raises NotFiniteError when it is not finite. rate: the base learning rate of the step."""
    if math.isfinite(loss):
        return loss
    smaller = f"{float(f'{rate / 10:.1g}'):g}"
    mend = f" (--set phase.{phase.name}.learning_rate={smaller})" if isinstance(phase.learning_rate, float) else ""
    commanded = ", as commanded," if rate > phase.base_rate else ""
    raise NotFiniteError(
        f"the loss was {loss} at step {step}; the loss has to stay finite, and at a learning rate of {rate:g}"
        f"{commanded} the weights diverged; try a rate ten times smaller{mend}, clip_norm = 1.0, warmup = 0.1, or "
        "precision = 'float32'"
    )
