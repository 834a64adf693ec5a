"""The model that an export holds: in float32, with as much preprocessing in its graph as all formats can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS

SCORES = "scores"
"""The name of the output: scores (examples, classes), numbers (examples, 1), or logits (texts, tokens, vocabulary)."""
Inputs = dict[str, NDArray[Any]]
"""What the model takes, by name: `images`, float32 (examples, height, width, 3), or `token_ids` and `padding_mask`,
int32 (texts, tokens)."""


def make_serving_model(trained: TrainedModel) -> keras.Model:
    """Make the model that takes RGB images of its size in 0..255, or token ids with a mask of texts of any length.

    Args:
        trained: The trained model, in float32.

    Returns:
        A Functional model from a dict of inputs (`Inputs`) to a dict of one output, `SCORES`.
    """
    inputs = _take_images(trained) if TASKS[trained.task].inputs == "images" else _take_tokens(trained)
    named, given = inputs
    return keras.Model(named, {SCORES: trained.model(given)}, name="exported")


def _take_images(trained: TrainedModel) -> tuple[dict[str, Any], Any]:
    height, width = trained.preprocessor.image_size
    images = pixels = keras.Input((height, width, 3), name="images")
    converter = trained.preprocessor.image_converter
    # As `ftapp.data.encoding.scale_images` does.
    if converter.scale is not None:
        pixels = pixels * np.asarray(converter.scale, np.float32)
    if converter.offset is not None:
        pixels = pixels + np.asarray(converter.offset, np.float32)
    return {"images": images}, pixels


def _take_tokens(trained: TrainedModel) -> tuple[dict[str, Any], Any]:
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    padding_mask = keras.Input((None,), dtype="int32", name="padding_mask")
    given = {}
    for name, tensor in trained.model.input.items():
        if name == "token_ids":
            given[name] = token_ids
        elif name == "padding_mask":
            given[name] = keras.ops.cast(padding_mask, tensor.dtype)
        else:  # such as segment_ids, which are 0 in a single text
            given[name] = keras.ops.zeros_like(token_ids)
    return {"token_ids": token_ids, "padding_mask": padding_mask}, given


def export_graph(trained: TrainedModel, file: Path, form: str, **options: Any) -> None:
    """Export the serving model as Keras does.

    Args:
        trained: The trained model, in float32.
        file: The file or folder to write.
        form: Keras's name of the format.
        options: Options of this format.

    Raises:
        Exception: A converter does not know one of the model's operations; the exception is of its making.
    """
    model = make_serving_model(trained)
    specs = {
        name: keras.InputSpec(dtype=tensor.dtype, shape=tensor.shape, name=name) for name, tensor in model.input.items()
    }
    model.export(str(file), format=form, verbose=False, input_signature=[specs], **options)
