"""From a preset to the model that trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import keras_hub

from ftapp.common.downloads import Progress
from ftapp.common.errors import HubError, Problem, RecipeError, RunError, suggest_nearest
from ftapp.common.formatting import join_names
from ftapp.data.dataset import NumberScale
from ftapp.models import preprocessors, preset_files
from ftapp.models.blank_weights import load_over_blank
from ftapp.models.generation import get_longest
from ftapp.models.graph import call_again, find_feeding
from ftapp.models.heads import add_head
from ftapp.models.keras_internals import find_backbone_kind, flatten_layers, graph_nodes, own_weights
from ftapp.recipe import TASKS, Recipe, presets, say_too_long


@dataclass(frozen=True)
class Pretrained:
    """The parts of a preset.

    Attributes:
        backbone: The pretrained model without a head.
        preprocessor: Turns texts into token ids, or says how images are scaled.
        causal_lm: The whole language model of a task that predicts tokens, else None.
    """

    backbone: Any
    preprocessor: Any
    causal_lm: Any | None


def load_pretrained(recipe: Recipe, progress: Progress | None = None) -> Pretrained:
    """Fetch the preset and build it with its weights, as the recipe's task needs it.

    Raises:
        RecipeError: The preset, image size or sequence length do not fit.
        HubError: A hub cannot be reached.
    """
    preset = recipe.model.preset
    with preset_files.resolve(preset, progress) as place:
        return _load(recipe, place)


def _load(recipe: Recipe, place: str) -> Pretrained:
    """Load the preset in the folder, or of the name, `place`."""
    preset, preprocessor = recipe.model.preset, _load_preprocessor(recipe, place)
    options: dict[str, Any] = {}
    if TASKS[recipe.task].inputs == "images":
        assert recipe.model.image_size is not None
        options["image_shape"] = (*recipe.model.image_size, 3)
    try:
        if TASKS[recipe.task].writes:
            causal_lm = load_over_blank(lambda: keras_hub.models.CausalLM.from_preset(place, preprocessor=preprocessor))
            backbone = causal_lm.backbone
        else:
            causal_lm = None
            backbone = load_over_blank(lambda: keras_hub.models.Backbone.from_preset(place, **options))
    except Exception as error:
        raise _explain(error, recipe, is_local=place != preset or presets.is_path(preset)) from error
    if TASKS[recipe.task].inputs == "texts":
        _check_inputs(recipe, backbone)
        _check_sequence_length(recipe, backbone)
    return Pretrained(backbone, preprocessor, causal_lm)


def find_backbone_class(recipe: Recipe, progress: Progress | None = None) -> type:
    """Find the class of the preset's backbone, without its weights; raises as above."""
    preset = recipe.model.preset
    with preset_files.resolve(preset, progress) as place:
        try:
            return find_backbone_kind(place)
        except Exception as error:
            raise _explain(error, recipe, is_local=place != preset or presets.is_path(preset)) from error


def load_preprocessor(recipe: Recipe, progress: Progress | None = None) -> Any:
    """Load the preset's preprocessor alone, set to the recipe's image size or sequence length; raises as above."""
    with preset_files.resolve(recipe.model.preset, progress) as place:
        return _load_preprocessor(recipe, place)


def _load_preprocessor(recipe: Recipe, place: str) -> Any:
    preset = recipe.model.preset
    try:
        preprocessor = preprocessors.load(TASKS[recipe.task], place)
    except Exception as error:
        raise _explain(error, recipe, is_local=place != preset or presets.is_path(preset)) from error
    if TASKS[recipe.task].inputs == "images":
        preprocessor.image_size = tuple(recipe.model.image_size or ())
    else:
        preprocessor.sequence_length = recipe.model.sequence_length
    return preprocessor


def build(recipe: Recipe, pretrained: Pretrained, classes: int, scale: NumberScale | None = None) -> keras.Model:
    """Build the Functional model that trains, from encoded inputs to the head's scores or the next token's logits.

    Args:
        recipe: The recipe.
        pretrained: Its preset.
        classes: The number of classes; not used for language models and for numbers.
        scale: The scale of the numbers that regression learns; of mean 0 and deviation 1 by default.

    Raises:
        RecipeError: `model.features` is no layer of the backbone.
    """
    backbone = pretrained.backbone
    if pretrained.causal_lm is not None:
        return build_language_model(pretrained.causal_lm)
    # A backbone of images alone may name its one input in a dict, as DINOv2 does.
    inputs = backbone.inputs[0] if TASKS[recipe.task].inputs == "images" else backbone.input
    features = backbone.output
    if recipe.model.features is not None:
        names = [layer.name for layer in backbone.layers]
        if recipe.model.features not in names:
            message = (
                f"the backbone has no layer '{recipe.model.features}'; {suggest_nearest(recipe.model.features, names)}"
            )
            raise RecipeError([Problem("", "model.features", message)])
        features = backbone.get_layer(recipe.model.features).output
    if isinstance(features, dict):
        # A backbone that pools its tokens itself, as BERT does, was trained to put a text's meaning there. Others tell
        # of each of their stages, as HGNetV2 does, of which the last one is their output.
        features = features.get("pooled_output", features.get("sequence_output", [*features.values()][-1]))
    if TASKS[recipe.task].labels == "numbers":
        classes, scale = 1, scale or NumberScale(0.0, 1.0)
    else:
        scale = None
    head = add_head(features, recipe.model, classes, scale, by_token=_has_class_token(recipe, backbone))
    return keras.Model(inputs, head, name="classifier_model")


def _has_class_token(recipe: Recipe, backbone: Any) -> bool:
    """Whether the first token stands for the whole example: that of texts does, and of images a class token."""
    names = (variable.name for variable in backbone.weights)
    return TASKS[recipe.task].inputs == "texts" or any(name in ("class_token", "cls_token") for name in names)


def build_language_model(causal_lm: Any) -> keras.Model:
    """Build a language model as KerasHub does, but as one flat graph, which can be cut above any block.

    Args:
        causal_lm: KerasHub's model, which has the backbone as one layer.
    """
    backbone = causal_lm.backbone
    (whole,) = [node for node in graph_nodes(causal_lm) if node.operation is backbone]
    known = {id(old): new for old, new in zip(whole.outputs, backbone.outputs, strict=True)}
    call_again(find_feeding(causal_lm, causal_lm.outputs, known), known)
    return keras.Model(backbone.input, known[id(causal_lm.outputs[0])], name="causal_lm")


def find_batch_normalization(model: keras.Model) -> list[Any]:
    """Return the layers that normalize by the mean and variance of a batch when they train.

    Layers without weights to train are left out, since `freeze.apply` lets them keep their statistics.
    """
    return [
        layer
        for layer in flatten_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization) and own_weights(layer)
    ]


def _check_inputs(recipe: Recipe, backbone: Any) -> None:
    """Check that tokens are all that a backbone takes; those that see or hear take more."""
    if others := sorted(set(backbone.input) - {"token_ids", "padding_mask", "segment_ids"}):
        message = (
            f"'{recipe.model.preset}' takes {join_names(others)} beside tokens, and ftapp trains models of texts "
            f"alone; `ftapp models --task {recipe.task}` lists models, for example gemma3_270m"
        )
        raise RecipeError([Problem("", "model.preset", message)])


def _check_sequence_length(recipe: Recipe, backbone: Any) -> None:
    longest, wanted = get_longest(backbone), recipe.model.sequence_length
    if longest is not None and wanted is not None and wanted > longest:
        raise RecipeError([Problem("", "model.sequence_length", say_too_long(wanted, longest))])


def _explain(error: Exception, recipe: Recipe, *, is_local: bool) -> Exception:
    """Translate a failure to load a preset for the user; return the error itself when it is unknown."""
    if isinstance(error, RunError | RecipeError):
        return error
    preset, text = recipe.model.preset, str(error).strip()
    if recipe.model.image_size is not None and ("negative dimension" in text or "output size" in text.lower()):
        message = (
            f"images of {recipe.model.image_size} are too small for this model's pooling; take a larger image_size"
        )
        return RecipeError([Problem("", "model.image_size", message)])
    if is_local or not _is_download_error(error):
        first = text.splitlines()[0] if text else type(error).__name__
        message = f"'{preset}' does not serve task = '{recipe.task}': {first}"
        return RecipeError([Problem("", "model.preset", message)])
    if "404 Client Error" in text:
        message = f"Kaggle has no preset '{preset}', or it is private; a preset has the name that its page shows"
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
