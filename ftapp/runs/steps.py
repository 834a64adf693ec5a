"""The steps of a run by columns, which hold a million of them in 72 MB, and as the events that they were."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from ftapp.runs.compact_steps import columns_of
from ftapp.runs.events import Stepped

_NAN = struct.pack("d", math.nan)
_FIELDS = ("time", "loss", "gradient_norm", "rate", "seconds", "epoch", "memory", "step")
_MOST_METRICS = 32
"""Columns of metrics that are kept: a damaged file may tell of a new name in each step."""


class Steps(Sequence[Stepped]):
    """The steps of a run.

    An array in use through the buffer protocol, as by `numpy.frombuffer`, is left as it is, and a longer one takes its
    place when steps come. The column `step`, whose length counts, grows last: what is counted is there, also for a
    thread that looks meanwhile.

    Attributes:
        time, loss, rate, seconds: columns of floats, array("d"), named as in `Stepped`.
        gradient_norm: the same, NaN where there is none.
        step, epoch, memory: columns of integers, array("q").
    """

    def __init__(self) -> None:
        self.time, self.loss, self.gradient_norm, self.rate, self.seconds = (array("d") for _ in range(5))
        self.epoch, self.memory, self.step = (array("q") for _ in range(3))
        self._metrics: Mapping[str, array[float]] = {}

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics that some step has."""
        return list(self._metrics)

    def column(self, name: str) -> array[Any]:
        """The column of a field or of a metric, the latter array("d"), NaN where a step has none."""
        if name in _FIELDS:
            column: array[Any] = getattr(self, name)
            return column
        found = self._metrics.get(name)
        return array("d", _NAN * len(self)) if found is None else found

    def append(self, event: Stepped) -> None:
        """Take one more step in."""
        self.extend([event])

    def extend(self, events: Sequence[Stepped]) -> None:
        """Take more steps in: about a quarter of a microsecond for each."""
        if not events:
            return
        self._extend_metrics([event.metrics for event in events])
        self.time = _longer(self.time, [event.time for event in events])
        self.epoch = _longer(self.epoch, [event.epoch for event in events])
        self.loss = _longer(self.loss, [event.loss for event in events])
        norms = [event.gradient_norm for event in events]
        if norms.count(None) == len(norms):  # as in most runs
            self.gradient_norm = _joined(self.gradient_norm, _NAN * len(norms))
        else:
            self.gradient_norm = _longer(self.gradient_norm, [math.nan if norm is None else norm for norm in norms])
        self.rate = _longer(self.rate, [event.rate for event in events])
        self.seconds = _longer(self.seconds, [event.seconds for event in events])
        self.memory = _longer(self.memory, [event.memory for event in events])
        self.step = _longer(self.step, [event.step for event in events])

    def _extend_metrics(self, found: Sequence[Mapping[str, float]]) -> None:
        """Take in the metrics of more steps, which are nearly always the same ones in all."""
        columns = columns_of(found)
        if columns is None:
            names = dict.fromkeys(name for each in found for name in each)
            columns = {name: [each.get(name, math.nan) for each in found] for name in names}
        for name in columns:
            if name not in self._metrics and len(self._metrics) < _MOST_METRICS:
                self._keep(name, array("d", _NAN * len(self)))
        for name, column in self._metrics.items():
            values = columns.get(name)
            self._keep(name, _joined(column, _NAN * len(found)) if values is None else _longer(column, values))

    def _keep(self, name: str, column: array[float]) -> None:
        """Keep a column of a metric. A new table takes the place of the one that another thread may look at."""
        if self._metrics.get(name) is not column:
            self._metrics = {**self._metrics, name: column}

    def __len__(self) -> int:
        return len(self.step)

    def __iter__(self) -> Iterator[Stepped]:
        return map(self._at, range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Stepped: ...
    @overload
    def __getitem__(self, index: slice) -> list[Stepped]: ...
    def __getitem__(self, index: int | slice) -> Stepped | list[Stepped]:
        places = range(len(self))[index]
        return self._at(places) if isinstance(places, int) else list(map(self._at, places))

    def _at(self, place: int) -> Stepped:
        norm = self.gradient_norm[place]
        values = {name: column[place] for name, column in self._metrics.items()}
        return Stepped(
            time=self.time[place],
            step=self.step[place],
            epoch=self.epoch[place],
            loss=self.loss[place],
            metrics={name: value for name, value in values.items() if not math.isnan(value)},
            gradient_norm=None if math.isnan(norm) else norm,
            rate=self.rate[place],
            seconds=self.seconds[place],
            memory=self.memory[place],
        )


def _longer(column: array[Any], values: Sequence[float]) -> array[Any]:
    """The column with more values: itself, or a new one where it is in use."""
    # Faster than an array's own conversion of a list.
    return _joined(column, struct.pack(f"{len(values)}{column.typecode}", *values))


def _joined(column: array[Any], values: bytes | array[Any]) -> array[Any]:
    """The column with the values of another one, or of its bytes."""
    data = memoryview(values).cast("B")
    try:
        column.frombytes(data)
    except BufferError:
        return array(column.typecode, column.tobytes() + bytes(data))
    return column
