"""The share of the processor's time that other processes take."""

from __future__ import annotations

import psutil


class OtherProcesses:
    """Measures what other processes compute, from when it is made or begun anew."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.begin()

    def begin(self) -> None:
        """Measure from now on."""
        self._start = self._cores()

    def share(self) -> float:
        """Give the share of all cores' time since the beginning in which other processes computed, 0..1."""
        whole, foreign = (now - then for now, then in zip(self._cores(), self._start, strict=True))
        return min(1.0, max(0.0, foreign / whole)) if whole > 0 else 0.0

    def _cores(self) -> tuple[float, float]:
        """Seconds of all cores since the machine started, and those of them that other processes computed."""
        times, own = psutil.cpu_times()._asdict(), self._process.cpu_times()
        kinds = ("user", "nice", "system", "irq", "softirq", "steal")  # guests count as user
        busy = sum(times.get(kind, 0.0) for kind in kinds)
        return busy + times["idle"] + times.get("iowait", 0.0), busy - own.user - own.system
