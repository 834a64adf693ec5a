"""The steps of a run by columns, which hold a million of them in 72 MB, and as the events that they were."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from ftapp.runs.compact_steps import columns_of
from ftapp.runs.phase_events import Stepped

_NAN = struct.pack("d", math.nan)
FIELDS = ("step", "epoch", "loss", "gradient_norm", "rate", "seconds", "memory", "time")
"""The columns that all runs have."""
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
        if name in FIELDS:
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
        self._extend_metrics(events)
        self.time = _extend(self.time, [event.time for event in events])
        self.epoch = _extend(self.epoch, [event.epoch for event in events])
        self.loss = _extend(self.loss, [event.loss for event in events])
        norms = [event.gradient_norm for event in events]
        if norms.count(None) == len(norms):  # as in most runs
            self.gradient_norm = _extend_packed(self.gradient_norm, _NAN * len(norms))
        else:
            self.gradient_norm = _extend(self.gradient_norm, [math.nan if norm is None else norm for norm in norms])
        self.rate = _extend(self.rate, [event.rate for event in events])
        self.seconds = _extend(self.seconds, [event.seconds for event in events])
        self.memory = _extend(self.memory, [event.memory for event in events])
        self.step = _extend(self.step, [event.step for event in events])

    def _extend_metrics(self, events: Sequence[Stepped]) -> None:
        """Take in the metrics of more steps, which are nearly always the same ones in all."""
        columns = columns_of(events)
        if columns is None:
            names = dict.fromkeys(name for event in events for name in event.metrics)
            columns = {name: [event.metrics.get(name, math.nan) for event in events] for name in names}
        for name in columns:
            if name not in self._metrics and len(self._metrics) < _MOST_METRICS:
                self._keep(name, array("d", _NAN * len(self)))
        for name, column in self._metrics.items():
            if name in columns:
                self._keep(name, _extend(column, columns[name]))
            else:
                self._keep(name, _extend_packed(column, _NAN * len(events)))

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


def _extend(column: array[Any], values: Sequence[float]) -> array[Any]:
    """Add values to a column, and return it, or the new one that takes the place of a column in use."""
    # Faster than an array's own conversion of a list.
    return _extend_packed(column, struct.pack(f"{len(values)}{column.typecode}", *values))


def _extend_packed(column: array[Any], values: bytes) -> array[Any]:
    """Add values, as the bytes of an array, to a column. Returns what `_extend` does."""
    try:
        column.frombytes(values)
    except BufferError:
        return array(column.typecode, column.tobytes() + values)
    return column
