"""The shares of the processor's time that this process and other processes take."""

from __future__ import annotations

import psutil


class ProcessorLoad:
    """Measures what this process and other processes compute, from when it is made or begun anew."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.begin()

    def begin(self) -> None:
        """Measure from now on."""
        self._start = self._cores()

    def measure(self) -> tuple[float, float]:
        """Give the shares of all cores' time since the beginning: that of this process, and that of others, 0..1."""
        whole, own, others = (now - then for now, then in zip(self._cores(), self._start, strict=True))
        shares = (min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0 for part in (own, others))
        return next(shares), next(shares)

    def _cores(self) -> tuple[float, float, float]:
        """Seconds of all cores since the machine started, of this process, and in which other processes computed."""
        times, own = psutil.cpu_times()._asdict(), self._process.cpu_times()
        kinds = ("user", "nice", "system", "irq", "softirq", "steal")  # guests count as user
        busy = sum(times.get(kind, 0.0) for kind in kinds)
        spent = own.user + own.system
        return busy + times["idle"] + times.get("iowait", 0.0), spent, busy - spent
