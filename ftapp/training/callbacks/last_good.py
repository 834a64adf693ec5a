"""A copy of the weights that train, as they were when the loss was finite for the last time."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from ftapp.models.layers import copy_value, size_of
from ftapp.training.callbacks.callback import Callback
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState

# A copy is made when the time since the last is so many times what that took: at most 1% of the training.
_SPACING = 100
# It is not made where less memory than so many copies is free.
_ROOM = 3
_BYTES = 4  # of a weight, at any precision


@dataclass(frozen=True)
class _Copy:
    step: int
    values: list[NDArray[Any]]

    @property
    def is_finite(self) -> bool:
        return all(np.isfinite(value).all() for value in self.values)


class LastGood(Callback):
    """Copies a segment's weights now and then while it trains, and puts them back when its loss is not finite.

    A copy is good once a loss was computed with its weights, or with later ones, and was finite.
    """

    def __init__(self) -> None:
        self._variables: list[Any] = []
        self._good: _Copy | None = None
        self._pending: _Copy | None = None
        self._due = 0.0

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Take the variables that the segment changes in the place of those of the segment before."""
        self._variables = session.plan.changing
        self._good = self._pending = None
        self._due = 0.0

    def on_train_begin(self, state: TrainState) -> None:
        """Copy the weights that the segment begins with, unless these are the run's first."""
        step = state.weights_step
        self._offer(step)
        if state.evaluated and state.evaluated.step == step:
            self.confirm(step)

    def on_step_begin(self, state: TrainState) -> None:
        """Copy the weights if it is time to."""
        self._offer(state.weights_step)

    def _offer(self, step: int) -> None:
        """Copy the weights as they are after `step` steps, if it is time to. Waits for the device if it does."""
        start = time.perf_counter()
        if step == 0 or start < self._due or self._pending:
            return
        with suppress(OSError):  # there is no file handle to read it, so nobody knows whether there is room
            if psutil.virtual_memory().available >= _ROOM * _BYTES * size_of(self._variables):
                self._pending = _Copy(step, list(map(copy_value, self._variables)))
        end = time.perf_counter()
        self._due = end + _SPACING * (end - start)

    def confirm(self, step: int) -> None:
        """Take in that a finite loss was computed with the weights as they are after `step` steps."""
        if self._pending and self._pending.step <= step:
            self._good, self._pending = self._pending, None

    def restore(self) -> int | None:
        """Put the last good weights back.

        Returns:
            The steps that they have behind them; None when there are no such weights.
        """
        copy = self._good or (self._pending if self._pending and self._pending.is_finite else None)
        if copy is None:
            return None
        for variable, value in zip(self._variables, copy.values, strict=True):
            variable.assign(value)
        return copy.step
