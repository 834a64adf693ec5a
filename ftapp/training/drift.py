"""Weight drift: how far the weights of each layer have gone since the start of the run, and in a single step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.freezing.layer_plan import LayerDecision, LayerPlan

_Copy = list[NDArray[Any]]


class DriftMeter:
    """Measures Frobenius norms of the change of each layer's trained weights, all of a layer taken as one vector.

    It keeps a copy of what has trained so far in the run, in main memory, and a second one of what trains in the
    segment if steps are measured. A step that is measured takes about 1.2 s more for each GB of weights that train,
    and other steps nothing.
    """

    def __init__(self) -> None:
        self._layers: list[LayerDecision] = []
        self._start: dict[int, tuple[NDArray[Any], float]] = {}  # by the id of a variable, with its squared norm
        self._former: list[_Copy] = []
        self._is_watching = False

    def begin_segment(self, plan: LayerPlan) -> None:
        """Measure the layers that train from now on. What has not trained before is as it was at the run's start."""
        self._layers = plan.trained_layers
        self._former, self._is_watching = [], False
        for variable in (each for layer in self._layers for each in layer.trained):
            if id(variable) not in self._start:
                value = _read(variable)
                self._start[id(variable)] = value, _squared(value)

    def begin_step(self) -> None:
        """Remember the weights before a step that is to be measured."""
        self._is_watching = True
        if not self._former:
            self._former = [_copy(layer) for layer in self._layers]
            return
        # Into the same memory: to have new pages from the system takes longer than to fill them.
        for layer, former in zip(self._layers, self._former, strict=True):
            for value, place in zip(_values(layer), former, strict=True):
                np.copyto(place, value)

    def measure_step(self) -> dict[str, float] | None:
        """Measure ||W_t - W_(t-1)|| of each layer that trains, by its path; None unless `begin_step` came before."""
        if not self._is_watching:
            return None
        self._is_watching = False
        pairs = zip(self._layers, self._former, strict=True)
        return {layer.path: _distance(layer, former) for layer, former in pairs}

    def measure_run(self) -> dict[str, float | None]:
        """Measure ||W_t - W_0|| / ||W_0|| of each layer that trains, by its path; None for W_0 zero or empty."""
        shares: dict[str, float | None] = {}
        for layer in self._layers:
            start = [self._start[id(variable)] for variable in layer.trained]
            size = math.sqrt(sum(square for _, square in start))
            shares[layer.path] = _distance(layer, [value for value, _ in start]) / size if size else None
        return shares


def _values(layer: LayerDecision) -> Iterator[NDArray[Any]]:
    """Copies of the weights that train, one at a time."""
    yield from map(_read, layer.trained)


def _read(variable: Any) -> NDArray[Any]:
    # `.value`: of a variable itself the conversion takes ten times as long on TensorFlow.
    value: NDArray[Any] = keras.ops.convert_to_numpy(variable.value)
    return value


def _copy(layer: LayerDecision) -> _Copy:
    return list(_values(layer))


def _distance(layer: LayerDecision, former: _Copy) -> float:
    return math.sqrt(sum(_squared(new - old) for new, old in zip(_values(layer), former, strict=True)))


def _squared(value: NDArray[Any]) -> float:
    return float(np.vdot(value, value))
