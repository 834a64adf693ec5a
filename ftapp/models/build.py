"""From a preset to the model that trains, and from a trained model to files that load again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np

from ftapp.common import cache_folders
from ftapp.common.downloads import Progress
from ftapp.common.durable import new_folder_in_place
from ftapp.common.errors import HubError, Problem, RecipeError, RunError, nearest, quote
from ftapp.data import images
from ftapp.data.encoding import encode_images, encode_texts, padded_width
from ftapp.data.texts import prepare
from ftapp.models import preset_files
from ftapp.models.heads import add_head
from ftapp.models.keras_internals import flatten_layers, own_weights
from ftapp.recipe import Recipe, presets, too_long

_DESCRIPTION = "ftapp.json"
_PREPROCESSORS = {
    "image-classification": keras_hub.models.ImageClassifierPreprocessor,
    "text-classification": keras_hub.models.TextClassifierPreprocessor,
    "causal-lm": keras_hub.models.CausalLMPreprocessor,
}


@dataclass(frozen=True)
class Pretrained:
    """What a preset holds.

    backbone: the pretrained model without a head; preprocessor: turns texts into token ids or says how images are
    scaled; causal_lm: the whole language model for the task causal-lm, else None.
    """

    backbone: Any
    preprocessor: Any
    causal_lm: Any | None


def load_pretrained(recipe: Recipe, progress: Progress | None = None) -> Pretrained:
    """Fetch the preset and build it with its weights, as the recipe's task needs it.

    Raises RecipeError when preset, image size or sequence length do not fit; HubError when a hub cannot be reached.
    """
    preset = recipe.model.preset
    with preset_files.resolved(preset, progress) as place:
        return _load(recipe, place)


def _load(recipe: Recipe, place: str) -> Pretrained:
    """The preset in the folder, or of the name, `place`."""
    preset, preprocessor = recipe.model.preset, _load_preprocessor(recipe, place)
    options: dict[str, Any] = {}
    if recipe.task == "image-classification":
        assert recipe.model.image_size is not None
        options["image_shape"] = (*recipe.model.image_size, 3)
    try:
        if recipe.task == "causal-lm":
            causal_lm = keras_hub.models.CausalLM.from_preset(place, preprocessor=preprocessor)
            backbone = causal_lm.backbone
        else:
            causal_lm = None
            backbone = keras_hub.models.Backbone.from_preset(place, **options)
    except Exception as error:
        raise _explained(error, recipe, is_local=place != preset or presets.is_path(preset)) from error
    if recipe.task != "image-classification":
        _check_sequence_length(recipe, backbone)
    return Pretrained(backbone, preprocessor, causal_lm)


def load_preprocessor(recipe: Recipe, progress: Progress | None = None) -> Any:
    """The preset's preprocessor alone, set to the recipe's image size or sequence length. Raises as above."""
    with preset_files.resolved(recipe.model.preset, progress) as place:
        return _load_preprocessor(recipe, place)


def _load_preprocessor(recipe: Recipe, place: str) -> Any:
    preset = recipe.model.preset
    try:
        preprocessor = _PREPROCESSORS[recipe.task].from_preset(place)
    except Exception as error:
        raise _explained(error, recipe, is_local=place != preset or presets.is_path(preset)) from error
    if recipe.task == "image-classification":
        preprocessor.image_size = tuple(recipe.model.image_size or ())
    else:
        preprocessor.sequence_length = recipe.model.sequence_length
    return preprocessor


def build(recipe: Recipe, pretrained: Pretrained, classes: int) -> keras.Model:
    """The Functional model that trains: from preprocessed inputs to the head's scores or the next token's logits.

    classes: how many the head tells apart; not used for language models. Raises RecipeError when `model.features` is
    no layer.
    """
    backbone = pretrained.backbone
    if pretrained.causal_lm is not None:
        return _language_model(backbone)
    features = backbone.output
    if recipe.model.features is not None:
        names = [layer.name for layer in backbone.layers]
        if recipe.model.features not in names:
            message = f"the backbone has no layer '{recipe.model.features}'; {nearest(recipe.model.features, names)}"
            raise RecipeError([Problem("", "model.features", message)])
        features = backbone.get_layer(recipe.model.features).output
    if isinstance(features, dict):
        # A backbone that pools its tokens itself, as BERT does, was trained to put a text's meaning there.
        features = features.get("pooled_output", features.get("sequence_output"))
    return keras.Model(backbone.input, add_head(features, recipe.model, classes), name="classifier_model")


def _language_model(backbone: Any) -> keras.Model:
    """As KerasHub's language models do it, but as one flat graph: a nested backbone would be saved without the tie
    between its embedding and the logits.
    """
    logits = backbone.token_embedding(backbone.output, reverse=True)
    return keras.Model(backbone.input, logits, name="causal_lm")


def batch_normalized(model: keras.Model) -> list[Any]:
    """The layers that normalize by the mean and variance of a batch when they train.

    Those with nothing to train are none: `freeze.apply` lets them keep their statistics.
    """
    return [
        layer
        for layer in flatten_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization) and own_weights(layer)
    ]


def save(
    folder: Path,
    recipe: Recipe,
    pretrained: Pretrained,
    model: keras.Model,
    classes: Sequence[str],
    marks: Mapping[str, Any],
) -> None:
    """Write a folder, whole or not at all, which did not exist.

    It holds `preset/` (a KerasHub preset), `model.keras` (the whole model without its optimizer), `ftapp.json` and the
    sha256 of these files.
    marks: what else to write into the last. Raises OSError when it cannot be written.
    """
    with new_folder_in_place(folder) as scratch:
        _write(scratch, recipe, pretrained, model, classes, marks)
        cache_folders.write_manifest(scratch)


def _write(
    folder: Path,
    recipe: Recipe,
    pretrained: Pretrained,
    model: keras.Model,
    classes: Sequence[str],
    marks: Mapping[str, Any],
) -> None:
    owner = pretrained.causal_lm or pretrained.backbone
    owner.save_to_preset(str(folder / "preset"))
    if pretrained.causal_lm is None:
        pretrained.preprocessor.save_to_preset(str(folder / "preset"))
    else:
        _forget_precision(folder / "preset" / "config.json")
    keras.Model(model.input, model.output, name=model.name).save(folder / "model.keras")
    description = {"task": recipe.task, "classes": list(classes), "head": recipe.model.head, **marks}
    (folder / _DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Trained:
    """A trained model read back from a run's `model` folder. classes: by the number that the head gives them."""

    task: str
    head: str
    classes: tuple[str, ...]
    model: Any
    preprocessor: Any
    causal_lm: Any | None

    def predict(self, examples: Sequence[Any]) -> Any:
        """Scores (examples, classes), float32, of texts or images, read and prepared as in the training.

        Images are files, by path, or RGB arrays (height, width, 3) in 0..255. Raises ValueError for arrays of another
        shape or range and for files that hold no image.
        """
        if self.task == "image-classification":
            return self.model.predict(encode_images(list(map(_pixels, examples)), self.preprocessor), verbose=0)
        inputs = encode_texts(examples, self.preprocessor)
        mask = inputs["padding_mask"]
        width = padded_width(mask.sum(axis=1), mask.shape[1])
        return self.model.predict({name: values[:, :width] for name, values in inputs.items()}, verbose=0)

    def generate(self, prompts: Sequence[str], tokens: int) -> list[str]:
        """Each prompt with up to `tokens` tokens in all, written greedily."""
        if self.causal_lm is None:
            raise ValueError(f"only a causal language model generates; this one's task is '{self.task}'")
        return list(self.causal_lm.generate(list(map(prepare, prompts)), max_length=tokens))


def _pixels(image: Any) -> Any:
    """The RGB pixels of an image as `Trained.predict` takes it."""
    if isinstance(image, str | Path):
        try:
            return images.read(Path(image))
        except images.BrokenImageError as error:
            raise ValueError(f"the image {image} cannot be decoded: {error}") from error
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[-1] != 3:
        message = f"an array of shape {pixels.shape} is no RGB image, which is (height, width, 3)"
        raise ValueError(f"{message}; the path of an image file is read whatever its colours")
    if pixels.dtype.kind == "f" and 0 < pixels.max() <= 1:
        raise ValueError("the pixels lie between 0 and 1, and an image has them from 0 to 255; multiply by 255")
    return pixels


def load(folder: Path) -> Trained:
    """Read a `model` folder that `save` has written. Raises RunError when a file of it is not as it was saved."""
    if damaged := cache_folders.changed(folder):
        raise RunError(
            f"{quote(damaged[0])} in {folder} is damaged: it is not as it was saved (its sha256 differs); "
            "the same recipe makes the model again"
        )
    description = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
    task = description["task"]
    preset = str(folder / "preset")
    preprocessor = _PREPROCESSORS[task].from_preset(preset)
    if task == "causal-lm":
        causal_lm = keras_hub.models.CausalLM.from_preset(preset)
        causal_lm.compile(sampler="greedy")
        model = _language_model(causal_lm.backbone)  # which holds what model.keras does
    else:
        causal_lm, model = None, keras.saving.load_model(folder / "model.keras", compile=False)
    return Trained(task, description["head"], tuple(description["classes"]), model, preprocessor, causal_lm)


def _forget_precision(config: Path) -> None:
    """Name float32, which the weights are stored in, as a language model's precision, so that it loads at any.

    KerasHub refuses a stored mixed policy ("Invalid dtype: mixed_bfloat16").
    """
    stored = json.loads(config.read_text("utf-8"))
    policy = stored["config"].get("dtype")
    if not isinstance(policy, dict) or "name" not in policy.get("config", {}):
        return  # a backbone that stores no precision, or one for each layer
    policy["config"]["name"] = "float32"
    config.write_text(json.dumps(stored, indent=4), encoding="utf-8")


def _check_sequence_length(recipe: Recipe, backbone: Any) -> None:
    longest, wanted = getattr(backbone, "max_sequence_length", None), recipe.model.sequence_length
    if longest is not None and wanted is not None and wanted > longest:
        raise RecipeError([Problem("", "model.sequence_length", too_long(wanted, longest))])


def _explained(error: Exception, recipe: Recipe, *, is_local: bool) -> Exception:
    """What a failure to load a preset means for the user; the error itself when it is not known."""
    if isinstance(error, RunError | RecipeError):
        return error
    preset, text = recipe.model.preset, str(error).strip()
    if recipe.model.image_size is not None and ("negative dimension" in text or "output size" in text.lower()):
        message = f"the images are too small for this model's pooling; got {recipe.model.image_size}"
        return RecipeError([Problem("", "model.image_size", message)])
    if is_local or not _is_download_error(error):
        first = text.splitlines()[0] if text else type(error).__name__
        message = f"'{preset}' does not serve task = '{recipe.task}': {first}"
        return RecipeError([Problem("", "model.preset", message)])
    if "404 Client Error" in text:
        message = f"there is no preset '{preset}' on Kaggle, or it is private; its name is the one that its page shows"
        return RecipeError([Problem("", "model.preset", message)])
    hub = "Hugging Face" if preset.startswith("hf://") else "Kaggle"
    if "resolve" in text:
        return HubError(f"the preset '{preset}' comes from {hub}, which cannot be reached: its name does not resolve")
    if "roxy" in text or "refused" in text or "timed out" in text:
        return HubError(f"the preset '{preset}' comes from {hub}, which cannot be reached: no connection")
    return HubError(f"the preset '{preset}' could not be fetched from {hub}: {text.partition(chr(10))[0][:200]}")


def _is_download_error(error: Exception) -> bool:
    """Whether a hub's client failed, not the building of what it brought: its errors are OSErrors or tell of HTTP."""
    return isinstance(error, OSError) or "Client Error" in str(error) or "Server Error" in str(error)
