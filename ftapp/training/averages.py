"""Weights averaged over steps (`phase.ema`, `phase.swa`), which Keras's optimizers keep beside the weights."""

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


def average_equally(base: Any, start: int) -> Any:
    """Make a class of an optimizer class whose averages count each step the same, from a step on.

    Stochastic weight averaging (Izmailov et al. 2018). Keras moves an average to the momentum's share of itself and the
    rest of the weight, so the momentum of the n-th weight is (n - 1) / n. Up to `start` the averages are the weights.

    Args:
        base: The class, of an optimizer with `use_ema`.
        start: How many steps the optimizer makes before those whose weights are averaged.
    """

    class EquallyAveraged(base):
        @property
        def ema_momentum(self) -> Any:
            before = keras.ops.cast(keras.ops.maximum(self.iterations - start, 0), "float32")
            return before / (before + 1)

        @ema_momentum.setter
        def ema_momentum(self, value: float) -> None:
            """Take no other momentum."""

    return EquallyAveraged


def _assign(pairs: Sequence[tuple[Any, Any]]) -> None:
    """Give each weight a copy of its average: on JAX a step takes over the arrays of all variables."""
    for variable, average in pairs:
        variable.assign(keras.ops.copy(average.value))
