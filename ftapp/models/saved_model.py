"""A trained model as a folder of files, written whole or not at all, and read back."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np

from ftapp.common import cache_folders
from ftapp.common.durable import make_folder_in_place
from ftapp.common.errors import RunError, quote
from ftapp.data import images
from ftapp.data.encoding import compute_padded_width, encode_images, encode_texts, get_longer_side
from ftapp.data.texts import prepare
from ftapp.models import preprocessors
from ftapp.models.adapters import adapters_merged
from ftapp.models.backbone_config import config_completed, is_complete
from ftapp.models.blank_weights import load_over_blank
from ftapp.models.build import Pretrained, build_language_model
from ftapp.models.float32 import name_float32
from ftapp.models.graph import nest_backbone
from ftapp.models.keras_internals import flatten_layers
from ftapp.models.objectives import usual_threshold
from ftapp.recipe import TASKS, Recipe
from ftapp.recipe.templates import Template
from ftapp.runs.run_folder import MODEL_DESCRIPTION

# Examples in a batch of a prediction, and the fewest where all batches are of one size.
_LARGEST, _FEWEST = 32, 16
# Bytes of a saved weight (float32, in the preset and in the whole model), and of the other files of a model.
_SIZE, _OVERHEAD = 8, 2**18


def save(
    folder: Path,
    recipe: Recipe,
    pretrained: Pretrained,
    model: keras.Model,
    classes: Sequence[str],
    marks: Mapping[str, Any],
) -> None:
    """Write a new folder, whole or not at all. A model that is there stays until the new one is on the disk.

    It holds `preset/` (a KerasHub preset), `model.keras` (the whole model without its optimizer), `ftapp.json` and the
    sha256 of these files. Adapters are merged into the kernels.

    Args:
        folder: The folder.
        recipe: The run's recipe.
        pretrained: The preset, with trained weights.
        model: The trained model.
        classes: The names of the classes.
        marks: Further keys of `ftapp.json`.

    Raises:
        OSError: The folder cannot be written.
    """
    description = {"task": recipe.task, "classes": list(classes), "head": recipe.model.head, **marks}
    if recipe.has_template:
        description["template"] = dataclasses.asdict(recipe.data.prompt_template)
    merged, completed = adapters_merged(model), config_completed(pretrained.backbone)
    with merged, completed, make_folder_in_place(folder, replaces=True) as scratch:
        _save_preset(scratch / "preset", pretrained)
        _make_portable(model, pretrained).save(scratch / "model.keras")
        (scratch / MODEL_DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        cache_folders.write_manifest(scratch)


def _make_portable(model: keras.Model, pretrained: Pretrained) -> keras.Model:
    """Make a model of the same layers, without an optimizer, that Keras can read from a file.

    Keras reads its own layers one by one. KerasHub sees to it that whole backbones and language models can be read, and
    not the layers in them, such as those of a ViT's encoder.
    """
    backbone, causal_lm = pretrained.backbone, pretrained.causal_lm
    if causal_lm is not None:
        return type(causal_lm)(backbone=backbone, preprocessor=None, name=model.name)
    is_foreign = any(type(layer).__module__.startswith("keras_hub.") for layer in flatten_layers(model))
    if is_foreign and is_complete(backbone):
        model = nest_backbone(model, backbone)
    return keras.Model(model.input, model.output, name=model.name)


def estimate_size(model: keras.Model) -> int:
    """Estimate the bytes that a saved model takes at most: HDF5 must not find the disk full while it writes."""
    return _OVERHEAD + _SIZE * int(model.count_params())


def _save_preset(folder: Path, pretrained: Pretrained) -> None:
    owner = pretrained.causal_lm or pretrained.backbone
    owner.save_to_preset(str(folder))
    if pretrained.causal_lm is None:
        pretrained.preprocessor.save_to_preset(str(folder))
    else:
        _store_float32(folder / "config.json")


@dataclass(frozen=True)
class TrainedModel:
    """A trained model, read from a run's `model` folder.

    Attributes:
        task: The recipe's task.
        head: The form of the classifier.
        classes: The names of the classes, in the order of the head's outputs.
        model: The whole model.
        preprocessor: The preset's preprocessor.
        causal_lm: The whole language model of a task that predicts tokens, else None.
        thresholds: The score of each class from which on an example has it, where it may have several; else None.
        template: What prompts are put into, if the model has learned completions; else None.
    """

    task: str
    head: str
    classes: tuple[str, ...]
    model: Any
    preprocessor: Any
    causal_lm: Any | None
    thresholds: tuple[float, ...] | None = None
    template: Template | None = None

    def predict(self, examples: Sequence[Any]) -> Any:
        """Predict texts or images, prepared as in the training.

        Args:
            examples: Texts, or images: paths of files, or RGB arrays (height, width, 3) in 0..255.

        Returns:
            Scores, float32 (examples, classes); numbers, float32 (examples, 1), of regression.

        Raises:
            ValueError: An array has another shape or range, or a file holds no image.
            TypeError: The examples are none of these, or one alone.
        """
        _refuse_single(examples)
        if not len(examples):
            return np.empty((0, self.model.output_shape[-1]), np.float32)
        if TASKS[self.task].inputs == "images":
            pixels = [_read_pixels(example, get_longer_side(self.preprocessor)) for example in examples]
            inputs: Any = encode_images(pixels, self.preprocessor)
        else:
            _refuse_non_texts(examples)
            encoded = encode_texts(examples, self.preprocessor)
            mask = encoded["padding_mask"]
            width = compute_padded_width(mask.sum(axis=1), mask.shape[1])
            inputs = {name: values[:, :width] for name, values in encoded.items()}
        return self.model.predict(inputs, batch_size=_choose_batch_size(len(examples)), verbose=0)

    def generate(self, prompts: Sequence[str], tokens: int) -> list[str]:
        """Continue each prompt greedily to `tokens` tokens in all, in its template if there is one.

        Raises:
            ValueError: The model is no causal language model.
            TypeError: The prompts are no texts, or one alone.
        """
        if self.causal_lm is None:
            raise ValueError(f"a model for '{self.task}' generates no text; only a causal language model does")
        _refuse_single(prompts)
        _refuse_non_texts(prompts)
        rendered = [self.render_prompt(prepare(prompt)) for prompt in prompts]
        return list(self.causal_lm.generate(rendered, max_length=tokens))

    def render_prompt(self, prompt: str) -> str:
        """Put a prompt into the template that the model has learned, if there is one."""
        return self.template.render_prompt(prompt) if self.template else prompt


def _choose_batch_size(count: int) -> int:
    """Choose a size that gives equal batches, if one does: a smaller last batch would be traced or compiled anew."""
    return next((size for size in range(_LARGEST, _FEWEST - 1, -1) if count % size == 0), _LARGEST)


def _refuse_single(examples: Any) -> None:
    """Refuse one text or path in place of a list: its letters would count as examples."""
    if isinstance(examples, str | Path):
        raise TypeError(f"{str(examples)!r} is one example; give a list, such as [{str(examples)!r}]")


def _refuse_non_texts(texts: Sequence[Any]) -> None:
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"example {position} is of the type {type(text).__name__}; the model takes texts")


def _read_pixels(image: Any, at_least: int) -> Any:
    """Return the RGB pixels of an image as `TrainedModel.predict` takes it; files are read as in training."""
    if isinstance(image, str | Path):
        try:
            return images.read(Path(image), at_least)
        except images.BrokenImageError as error:
            raise ValueError(f"the image {image} cannot be decoded: {error}") from error
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[-1] != 3:
        message = f"an array of shape {pixels.shape} is no RGB image, which is (height, width, 3)"
        raise ValueError(f"{message}; the path of an image file is read whatever its colours")
    if pixels.dtype.kind == "f" and 0 < pixels.max() <= 1:
        raise ValueError("the pixels lie between 0 and 1, and an image has them from 0 to 255; multiply by 255")
    return pixels


def load(folder: Path, *, in_float32: bool = False) -> TrainedModel:
    """Read a `model` folder that `save` has written.

    Args:
        folder: The folder.
        in_float32: Whether all layers compute in float32, in place of the run's precision.

    Raises:
        RunError: A file of the folder differs from what was saved, or nobody knows what was.
    """
    if not (folder / cache_folders.MANIFEST).is_file():
        raise RunError(
            f"{folder} holds no whole model: its {cache_folders.MANIFEST}, with the sha256 of each file, is missing; "
            "the same recipe makes the model again"
        )
    if damaged := cache_folders.find_changes(folder):
        raise RunError(
            f"{quote(damaged[0])} in {folder} is damaged: it is not as it was saved (its sha256 differs); "
            "the same recipe makes the model again"
        )
    description = json.loads((folder / MODEL_DESCRIPTION).read_text("utf-8"))
    task = description["task"]
    preset = str(folder / "preset")
    preprocessor = preprocessors.load(TASKS[task], preset)
    if TASKS[task].writes:
        causal_lm = load_over_blank(lambda: keras_hub.models.CausalLM.from_preset(preset))
        causal_lm.compile(sampler="greedy")
        model = build_language_model(causal_lm)  # which holds what model.keras does
    else:
        causal_lm, model = None, load_over_blank(lambda: _load_classifier(folder / "model.keras", in_float32))
    classes, head = tuple(description["classes"]), description["head"]
    thresholds = None
    if TASKS[task].labels == "sets":
        thresholds = tuple(description.get("thresholds", [usual_threshold(head)] * len(classes)))
    template = Template(**description["template"]) if "template" in description else None
    return TrainedModel(task, head, classes, model, preprocessor, causal_lm, thresholds, template)


def _load_classifier(file: Path, in_float32: bool) -> Any:
    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read("config.json"))
        renamed = name_float32(config)
        if not in_float32 or renamed == config:
            return keras.saving.load_model(file, compile=False)
        model = keras.saving.deserialize_keras_object(renamed | {"compile_config": None})
        # Inside of the archive Keras would read the weights from their beginning again and again.
        with tempfile.TemporaryDirectory(prefix="ftapp-weights-") as folder:
            model.load_weights(archive.extract("model.weights.h5", folder))
    return model


def _store_float32(config: Path) -> None:
    """Name float32, which the weights are stored in, as a language model's precision, so that it loads at any.

    KerasHub refuses a stored mixed policy ("Invalid dtype: mixed_bfloat16").
    """
    stored = json.loads(config.read_text("utf-8"))
    policy = stored["config"].get("dtype")
    if not isinstance(policy, dict) or "name" not in policy.get("config", {}):
        return  # a backbone that stores no precision, or one for each layer
    policy["config"]["name"] = "float32"
    config.write_text(json.dumps(stored, indent=4), encoding="utf-8")
