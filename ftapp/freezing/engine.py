"""The engine that computes a model's frozen half: Keras's own backend, or OpenVINO on the processor."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any, Protocol


class Engine(Protocol):
    """Computes features. A compiled Keras model over the frozen half is an engine too."""

    def predict_on_batch(self, inputs: Any) -> dict[str, Any]:
        """Compute the features of a batch.

        Args:
            inputs: What the model takes: an array (batch, ...), or arrays by the name of the model's input.

        Returns:
            Arrays (batch, ...) or (batch, tokens, ...) by the name of the feature.
        """
        ...


class LazyEngine:
    """An engine that is made when the first batch is computed: where all features are cached, none is needed.

    Args:
        make: Makes the engine.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make, self._engine = make, None

    _engine: Engine | None

    def predict_on_batch(self, inputs: Any) -> dict[str, Any]:
        """Compute the features of a batch, as `Engine` says."""
        if self._engine is None:
            self._engine = self._make()
        return self._engine.predict_on_batch(inputs)


def describe_openvino() -> list[str]:
    """Describe the engine OpenVINO for the key of cached features: its name and version. Does not import it."""
    return ["openvino", metadata.version("openvino")]
