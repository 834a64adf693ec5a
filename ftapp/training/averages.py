"""Weights averaged over the steps of a phase (`phase.ema`), which Keras's optimizers keep beside the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from ftapp.models.keras_internals import averages
from ftapp.models.layers import restore_values_after


class Averages:
    """The averages of an optimizer. There are none before its first step, and none where its phase keeps none."""

    def __init__(self) -> None:
        self._optimizer: Any = None

    def follow(self, optimizer: Any) -> None:
        """Take the averages of this optimizer from now on."""
        self._optimizer = optimizer

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While the context lasts, weights that train are their averages. Then they go on as they were."""
        pairs = self._list_pairs()
        with restore_values_after(variable for variable, _ in pairs):
            _assign(pairs)
            yield

    def keep(self) -> None:
        """Let weights that train be their averages from now on. The optimizer makes no step any more."""
        _assign(self._list_pairs())
        self._optimizer = None

    def _list_pairs(self) -> list[tuple[Any, Any]]:
        """List each weight with its average."""
        optimizer = self._optimizer
        if optimizer is None or not optimizer.use_ema or not optimizer.built:
            return []
        return averages(optimizer) if int(keras.ops.convert_to_numpy(optimizer.iterations)) else []


def _assign(pairs: Sequence[tuple[Any, Any]]) -> None:
    """Give each weight a copy of its average: on JAX a step takes over the arrays of all variables."""
    for variable, average in pairs:
        variable.assign(keras.ops.copy(average.value))
