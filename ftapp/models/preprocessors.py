"""The preprocessors of presets: tokenizers with their special tokens, and image converters."""

from __future__ import annotations

from typing import Any

import keras_hub

from ftapp.recipe.presets import WITHOUT_CLASSIFIER
from ftapp.recipe.tasks import Task

_KINDS = {
    "image_classifier": keras_hub.models.ImageClassifierPreprocessor,
    "text_classifier": keras_hub.models.TextClassifierPreprocessor,
    "causal_lm": keras_hub.models.CausalLMPreprocessor,
}
"""By the stem of KerasHub's names, which `Task.preprocessor` is."""


def load(task: Task, place: str) -> Any:
    """Load the preprocessor of a preset.

    Args:
        task: The task.
        place: What `from_preset` takes.

    Raises:
        ValueError: KerasHub has none for the model and the task.
    """
    kind = _KINDS[task.preprocessor]
    try:
        return kind.from_preset(place)
    except ValueError:
        # A ValueError is what KerasHub raises of a model that it has no classifier for.
        converter = _load_converter(place) if task.inputs == "images" else None
        if converter is None:
            raise
        return kind(converter)


def _load_converter(place: str) -> Any | None:
    """Load the image converter of a preset that KerasHub has no classifier for; None for others."""
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(place)
    except ValueError:
        return None
    module = type(converter).__module__
    return converter if any(f".{folder}." in module for folder in WITHOUT_CLASSIFIER) else None
