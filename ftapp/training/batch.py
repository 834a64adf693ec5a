"""The batch of a training step, and the result of the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.data.dataset import BatchKey, Targets
from ftapp.training.instrumented_model import read_values


@dataclass(frozen=True)
class Batch:
    """The examples of a step.

    Attributes:
        key: The step, from whose numbers the augmentation and the dropout masks follow.
        inputs: What the model of the session takes.
        targets: The labels, as `ftapp.data.dataset.Dataset.get_targets` gives them, or shares of classes.
        examples: The keys of the examples, joined.
        weights: By how much the loss of each example counts, float32 (examples,); None where all count the same.
    """

    key: BatchKey
    inputs: Any
    targets: Targets
    examples: bytes = b""
    weights: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class StepResult:
    """A step that was given to the device.

    Attributes:
        rate: The base learning rate of the step.
        values: What the device computes, as `ftapp.training.instrumented_model.read_values` takes it.
    """

    rate: float
    values: Any

    def read(self) -> dict[str, float]:
        """Give the metrics of the batch by name. Waits for the device."""
        return read_values(self.values).metrics
