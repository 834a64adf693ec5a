"""The load of the processor and of a GPU, with a stand-in for NVIDIA's library: no GPU is needed or asked."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from ftapp.runs.event_log import EventLog
from ftapp.runs.event_reader import read
from ftapp.runs.events import ProcessorUsed
from ftapp.runs.history import History
from ftapp.training.callbacks.machine_log import MachineLog
from ftapp.training.gpu_monitor import GpuLoad, GpuMonitor
from ftapp.training.state import Position, TrainState

UUIDS = ["GPU-7f3a", "GPU-91c0"]


class StandIn(ModuleType):
    """NVIDIA's library on a machine with two GPUs, as far as it is used here. `broken`: calls that fail."""

    class NVMLError(Exception):
        pass

    def __init__(self, *broken: str) -> None:
        super().__init__("pynvml")
        self._broken = broken

    def _call(self, name: str) -> None:
        if name in self._broken:
            raise self.NVMLError(name)

    def nvmlInit(self) -> None:  # noqa: N802
        self._call("init")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index >= len(UUIDS):
            raise self.NVMLError("invalid argument")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        if uuid not in UUIDS:
            raise self.NVMLError("not found")
        return UUIDS.index(uuid)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        self._call("utilization")
        return SimpleNamespace(gpu=87 - handle, memory=3)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(total=80 * 2**30, used=(30 + handle) * 2**30, free=50 * 2**30)


def install(monkeypatch: pytest.MonkeyPatch, *broken: str) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", StandIn(*broken))


@pytest.mark.parametrize(
    ("visible", "index"),
    [(None, 0), ("0", 0), ("1", 1), ("1,0", 1), (UUIDS[1], 1), ("", None), ("-1", None), ("7", None)],
)
def test_the_first_visible_gpu_is_asked(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, index: int | None
) -> None:
    install(monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monitor = GpuMonitor.open()
    if index is None:
        assert monitor is None
    else:
        assert monitor is not None
        assert monitor.read() == GpuLoad((87 - index) / 100, (30 + index) * 2**30, 80 * 2**30)


def test_nothing_is_known_without_the_library_or_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "init")
    assert GpuMonitor.open() is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # which lets its import fail
    assert GpuMonitor.open() is None


def test_the_load_is_written_every_five_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch)
    begun, *moments = [95.0, 99.9, 100.0, 104.9, 105.0, 109.9, 112.0]
    log = MachineLog(EventLog(tmp_path / "events.jsonl"), GpuMonitor.open(), iter([begun, *moments]).__next__)
    state = TrainState()
    for step, _ in enumerate(moments, 1):
        sum(range(100_000))  # the run computes
        state.position = Position(run_step=step)
        log.on_step_end(state, cast(Any, None))
    history = History.of_file(tmp_path / "events.jsonl")
    assert [(each.step, each.busy, each.used, each.memory) for each in history.gpu_loads] == [
        (step, 0.87, 30 * 2**30, 80 * 2**30) for step in (2, 4, 6)
    ]
    assert [each.step for each in history.processor_loads] == [2, 4, 6]
    assert all(0 <= each.own + each.others <= 1.01 for each in history.processor_loads)


@pytest.mark.parametrize("broken", [[], ["utilization"]])
def test_an_unknown_load_of_a_gpu_is_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: list[str]
) -> None:
    install(monkeypatch, *broken)
    monitor = GpuMonitor.open() if broken else None
    log = MachineLog(EventLog(tmp_path / "events.jsonl"), monitor, iter([0.0, 9.0]).__next__)
    log.on_step_end(TrainState(), cast(Any, None))
    assert [type(event) for event in read(tmp_path / "events.jsonl")] == [ProcessorUsed]
