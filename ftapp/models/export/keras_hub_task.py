"""Exports to a task preset of KerasHub, which `TextClassifier.from_preset` and its like load without ftapp."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras_hub

from ftapp.models.export.linear_head import ACTIVATIONS, fold_head
from ftapp.models.export.program import READ_IMAGES, Program
from ftapp.models.export.request import ExportRequest, WrittenModel
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS
from ftapp.runs.export_formats import UnfitError

_NAME = "keras-hub"
_POOLINGS = {"GlobalAveragePooling2D": "avg", "GlobalMaxPooling2D": "max"}
_TEXTS = Program(
    encode='''
import re
import unicodedata

def encode(texts):
    """Prepare texts as for the training; the model tokenizes them itself."""
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    return [re.sub(r"(?i)<br\\s*/?>", " ", re.sub(r"\\r\\n?", "\\n", text)) for text in composed]
''',
    compute='''
import keras
import keras_hub
import numpy as np

MODEL = keras_hub.models.TextClassifier.from_preset(str(FOLDER))
MODEL.jit_compile = keras.config.backend() == "jax"  # XLA takes seconds to compile each size of batches


def compute_scores(inputs):
    """Compute the scores of encoded examples."""
    return np.asarray(MODEL.predict(inputs, verbose=0))
''',
)
_IMAGES = Program(
    encode=READ_IMAGES
    + '''

def encode(files):
    """Read image files; the model resizes and scales them itself."""
    return [read_image(file) for file in files]
''',
    compute='''
import keras
import keras_hub
import numpy as np

MODEL = keras_hub.models.ImageClassifier.from_preset(str(FOLDER))
MODEL.jit_compile = keras.config.backend() == "jax"  # XLA takes seconds to compile each size of batches


def compute_scores(inputs):
    """Compute the scores of images, which may have different sizes."""
    return np.concatenate([np.asarray(MODEL.predict(image[None], verbose=0)) for image in inputs])
''',
)
_WRITES = Program(
    encode='''
def encode(texts):
    """Leave texts as they are; the model tokenizes them itself."""
    return list(texts)
''',
    compute='''
import keras
import keras_hub
import numpy as np

MODEL = keras_hub.models.CausalLM.from_preset(str(FOLDER))
# XLA takes seconds to compile each length of texts.
MODEL.compile(sampler="greedy", jit_compile=keras.config.backend() == "jax")


def compute_scores(inputs):
    """Compute the logits of each token of a text."""
    (text,) = inputs
    given = MODEL.preprocessor.generate_preprocess([text])
    count = int(np.asarray(given["padding_mask"]).sum())
    return np.asarray(MODEL({name: np.asarray(each)[:, :count] for name, each in given.items()}))
''',
    generate='''
def generate(prompt, length=64):
    """Continue a prompt with the likeliest tokens, up to so many tokens in all."""
    return MODEL.generate(prompt, max_length=length)
''',
)


def write(request: ExportRequest, folder: Path) -> WrittenModel:
    """Write the files of a task preset.

    Args:
        request: What is exported.
        folder: Where to.

    Raises:
        UnfitError: KerasHub's classifier on this backbone has another head.
    """
    trained = request.trained
    if trained.causal_lm is not None:
        trained.causal_lm.save_to_preset(str(folder))
        return WrittenModel(_WRITES, ["read it with keras_hub.models.CausalLM.from_preset(FOLDER)"], True)
    if request.features is not None:
        reason = f"its head stands on the inner layer '{request.features}', and KerasHub's on the last one"
        raise UnfitError(_NAME, reason, "saved_model")
    head = fold_head(trained)
    if head is None:
        raise UnfitError(_NAME, "its head has hidden layers, and KerasHub's has one layer", "saved_model")
    backbone = request.load_backbone()
    is_image = TASKS[trained.task].inputs == "images"
    base = keras_hub.models.ImageClassifier if is_image else keras_hub.models.TextClassifier
    task = _build_task(trained, base, backbone, head[1].shape[0])
    own = {id(weight) for weight in backbone.weights}
    added = [weight for weight in task.weights if id(weight) not in own]
    if [tuple(weight.shape) for weight in added] != [each.shape for each in head]:
        shapes = ", ".join(str(tuple(weight.shape)) for weight in added)
        reason = f"the head of KerasHub's {type(task).__name__} has other layers (weights of {shapes})"
        raise UnfitError(_NAME, reason, "saved_model")
    for weight, value in zip(added, head, strict=True):
        weight.assign(value)
    task.save_to_preset(str(folder))
    return WrittenModel(
        _IMAGES if is_image else _TEXTS, [f"read it with keras_hub.models.{base.__name__}.from_preset(FOLDER)"], True
    )


def _build_task(trained: TrainedModel, base: Any, backbone: Any, outputs: int) -> Any:
    """Build KerasHub's classifier on a backbone, with the pooling of the trained head."""
    found = [task for task in base.__subclasses__() if task.backbone_cls is type(backbone)]
    if not found:
        raise UnfitError(_NAME, f"KerasHub has no {base.__name__} on a {type(backbone).__name__}", "saved_model")
    options: dict[str, Any] = {"activation": ACTIVATIONS[trained.head], "dropout": 0.0}
    pooling = next((layer for layer in trained.model.layers if layer.name == "head_pooling"), None)
    if "pooling" in inspect.signature(found[0].__init__).parameters:
        options["pooling"] = _POOLINGS.get(type(pooling).__name__, "token" if pooling is None else "flatten")
    try:
        return found[0](backbone=backbone, num_classes=outputs, preprocessor=trained.preprocessor, **options)
    except (TypeError, ValueError) as error:
        reason = f"KerasHub's {found[0].__name__} does not take its head ({str(error).splitlines()[0]})"
        raise UnfitError(_NAME, reason, "saved_model") from error
