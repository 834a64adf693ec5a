"""What the GPU of a run is doing, asked of NVIDIA's driver. Nothing is known without the driver or `nvidia-ml-py`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Self

_FIRST = "0"


@dataclass(frozen=True)
class GpuLoad:
    """The load of a GPU.

    Attributes:
        busy: The share of the last moments in which it computed, 0 to 1.
        used: Bytes of its memory that are in use, by all processes.
        memory: Bytes of memory that it has.
    """

    busy: float
    used: int
    memory: int


class GpuMonitor:
    """Asks the driver for the load of one GPU; a question takes less than a millisecond.

    Args:
        nvml: The module of NVIDIA's management library, initialized.
        handle: The GPU, as the library names it.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    @classmethod
    def open(cls) -> Self | None:
        """Find the GPU on which this process computes: the first one that CUDA_VISIBLE_DEVICES leaves to it.

        The library counts GPUs in the order of their slots, as CUDA does with CUDA_DEVICE_ORDER=PCI_BUS_ID.

        Returns:
            Its monitor; None where there is no such GPU, or nobody to ask.
        """
        try:
            import pynvml as nvml
        except ImportError:
            return None
        chosen = os.environ.get("CUDA_VISIBLE_DEVICES", _FIRST).partition(",")[0].strip()
        try:
            nvml.nvmlInit()
            if chosen.isdecimal():
                return cls(nvml, nvml.nvmlDeviceGetHandleByIndex(int(chosen)))
            return cls(nvml, nvml.nvmlDeviceGetHandleByUUID(chosen))
        except nvml.NVMLError:
            return None

    def read(self) -> GpuLoad | None:
        """Return the load of now; None where the driver does not tell it, as of a part of a GPU."""
        try:
            busy = self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu / 100
            memory = self._nvml.nvmlDeviceGetMemoryInfo(self._handle)
        except self._nvml.NVMLError:
            return None
        return GpuLoad(busy, memory.used, memory.total)
