"""The steps of a run by columns, 72 bytes a step, and as the events that they were."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from ftapp.runs.compact_steps import columns_of
from ftapp.runs.phase_events import Stepped
from ftapp.runs.step_column import StepColumn, Values

_NAN = struct.pack("d", math.nan)
_CODES = dict.fromkeys(("loss", "gradient_norm", "rate", "seconds", "time"), "d")  # others are integers
FIELDS = ("step", "epoch", "loss", "gradient_norm", "rate", "seconds", "memory", "time")
"""The columns that all runs have."""
_MOST_METRICS = 32
"""Columns of metrics that are kept: a damaged file may tell of a new name in each step."""


class Steps(Sequence[Stepped]):
    """The steps of a run.

    The column `step`, whose length counts, grows last. So what is counted is there, also for a thread that looks
    meanwhile. Long columns are in files (`ftapp.runs.step_column`).
    """

    def __init__(self) -> None:
        self._fields = {name: StepColumn(_CODES.get(name, "q")) for name in FIELDS}
        self._metrics: Mapping[str, StepColumn] = {}

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics that some step has."""
        return list(self._metrics)

    def column(self, name: str) -> Values:
        """The column of a field or of a metric, the latter floats, NaN where a step has none."""
        found = self._fields.get(name, self._metrics.get(name))
        return array("d", _NAN * len(self)) if found is None else found.view()

    @property
    def step(self) -> Values:
        """The number of each step in the run, from 1, integers."""
        return self._fields["step"].view()

    @property
    def loss(self) -> Values:
        """The loss of each step's batch, floats."""
        return self._fields["loss"].view()

    @property
    def gradient_norm(self) -> Values:
        """The norm of each step's gradient, floats, NaN where there is none."""
        return self._fields["gradient_norm"].view()

    @property
    def rate(self) -> Values:
        """The learning rate of each step, floats."""
        return self._fields["rate"].view()

    @property
    def seconds(self) -> Values:
        """How long each step took, floats."""
        return self._fields["seconds"].view()

    @property
    def memory(self) -> Values:
        """The memory of the run after each step in bytes, integers."""
        return self._fields["memory"].view()

    @property
    def time(self) -> Values:
        """When each step ended, in seconds since the Unix epoch, floats."""
        return self._fields["time"].view()

    def append(self, event: Stepped) -> None:
        """Take one more step in."""
        self.extend([event])

    def extend(self, events: Sequence[Stepped]) -> None:
        """Take more steps in: about a quarter of a microsecond for each."""
        if not events:
            return
        self._extend_metrics(events)
        norms = [event.gradient_norm for event in events]
        if norms.count(None) == len(norms):  # as in most runs
            self._fields["gradient_norm"].extend(_NAN * len(norms))
        else:
            self._extend("gradient_norm", [math.nan if norm is None else norm for norm in norms])
        self._extend("time", [event.time for event in events])
        self._extend("epoch", [event.epoch for event in events])
        self._extend("loss", [event.loss for event in events])
        self._extend("rate", [event.rate for event in events])
        self._extend("seconds", [event.seconds for event in events])
        self._extend("memory", [event.memory for event in events])
        self._extend("step", [event.step for event in events])

    def _extend(self, name: str, values: Sequence[float]) -> None:
        self._fields[name].extend(_pack(_CODES.get(name, "q"), values))

    def _extend_metrics(self, events: Sequence[Stepped]) -> None:
        """Take in the metrics of more steps, which are nearly always the same ones in all."""
        columns = columns_of(events)
        if columns is None:
            names = dict.fromkeys(name for event in events for name in event.metrics)
            columns = {name: [event.metrics.get(name, math.nan) for event in events] for name in names}
        for name in columns:
            if name not in self._metrics and len(self._metrics) < _MOST_METRICS:
                column = StepColumn("d")
                column.extend(_NAN * len(self))
                # A new table takes the place of the one that another thread may look at.
                self._metrics = {**self._metrics, name: column}
        for name, column in self._metrics.items():
            column.extend(_pack("d", columns[name]) if name in columns else _NAN * len(events))

    def __len__(self) -> int:
        return len(self._fields["step"])

    def __iter__(self) -> Iterator[Stepped]:
        return self._read(range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Stepped: ...
    @overload
    def __getitem__(self, index: slice) -> list[Stepped]: ...
    def __getitem__(self, index: int | slice) -> Stepped | list[Stepped]:
        places = range(len(self))[index]
        return next(self._read([places])) if isinstance(places, int) else list(self._read(places))

    def _read(self, places: Sequence[int]) -> Iterator[Stepped]:
        """Yield the steps at some places."""
        fields = {name: self.column(name) for name in FIELDS}
        metrics = {name: self.column(name) for name in self.metrics}
        for place in places:
            values: dict[str, Any] = {name: column[place] for name, column in fields.items()}
            if math.isnan(values["gradient_norm"]):
                values["gradient_norm"] = None
            known = {name: column[place] for name, column in metrics.items()}
            yield Stepped(**values, metrics={name: value for name, value in known.items() if not math.isnan(value)})


def _pack(code: str, values: Sequence[float]) -> bytes:
    return struct.pack(f"{len(values)}{code}", *values)  # faster than an array's own conversion of a list
