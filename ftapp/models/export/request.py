"""What is exported, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras_hub
from numpy.typing import NDArray

from ftapp.models.blank_weights import load_over_blank
from ftapp.models.export.program import Program
from ftapp.models.export.serving import Inputs
from ftapp.models.saved_model import TrainedModel


@dataclass(frozen=True)
class ExportRequest:
    """A trained model on its way to a format.

    Attributes:
        preset: The preset that the model was fine-tuned from.
        features: The inner layer that its head stands on; None for the last one.
        folder: The run's `model` folder.
        trained: The model, in float32.
        int8: Whether it is quantized to int8.
        calibration: Encoded examples of the training split, for the ranges of int8.
    """

    preset: str
    features: str | None
    folder: Path
    trained: TrainedModel
    int8: bool
    calibration: list[Inputs]

    def load_backbone(self) -> Any:
        """Load the trained backbone alone, in float32."""
        preset = str(self.folder / "preset")
        return load_over_blank(lambda: keras_hub.models.Backbone.from_preset(preset, dtype="float32"))


@dataclass(frozen=True)
class CheckExamples:
    """Test examples that an export is checked on.

    Attributes:
        examples: Texts, RGB images, uint8 (height, width, 3), or paths of image files; at least one.
        labels: Their labels, as `ftapp.data.examples.Examples` has them; None of language models.
    """

    examples: Sequence[Any]
    labels: NDArray[Any] | None


@dataclass(frozen=True)
class ExportCheck:
    """How an export's answers, computed by its own runtime, compare with the model's.

    Attributes:
        examples: How many examples were compared.
        agreeing: How many of them have the same answer.
        difference: The largest difference of a score.
        tolerance: The difference up to which the export is accepted; None in int8, where answers decide alone.
        least_agreement: The share of equal answers from which on the export is accepted.
        tokens: How many texts have the same tokens; None of images.
        metric: What was measured of both on the labels of the examples: "accuracy" or "mean absolute error"; "" of
            language models.
        before: The metric of the model.
        after: The metric of the export.
        continuations: How many prompts are continued by the same text, and of how many; None of classifiers.
    """

    examples: int
    agreeing: int
    difference: float
    tolerance: float | None
    least_agreement: float
    tokens: int | None = None
    metric: str = ""
    before: float | None = None
    after: float | None = None
    continuations: tuple[int, int] | None = None

    @property
    def accepted(self) -> bool:
        """Whether the export answers as the model does."""
        is_close = self.tolerance is None or self.difference <= self.tolerance
        is_continued = self.continuations is None or self.tolerance is None or len(set(self.continuations)) == 1
        return is_close and is_continued and self.agreeing >= self.least_agreement * self.examples


@dataclass(frozen=True)
class WrittenModel:
    """What a format's module has written.

    Attributes:
        program: The pieces of `predict.py` that read it.
        notes: What a user has to know of the files, in sentences without a full stop.
        brings_tokenizer: Whether it has written files of a tokenizer of its own.
    """

    program: Program
    notes: list[str]
    brings_tokenizer: bool = False
