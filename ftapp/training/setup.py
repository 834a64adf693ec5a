"""What a training needs before its first step: the device and the precision, the data, and the model with its plans."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from ftapp.analysis.metrics.confusion import MOST_CLASSES
from ftapp.common.downloads import Progress
from ftapp.common.errors import Problem, RecipeError
from ftapp.data import DocumentSplits, Splits
from ftapp.data.dataset import EncodedSplits
from ftapp.data.encoded_splits import load_encoded
from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models import backend, build
from ftapp.models.build import Pretrained
from ftapp.models.distribution import share_batches, share_weights, use_one_device
from ftapp.models.flops import Call
from ftapp.models.layers import ModelLayer
from ftapp.recipe import Recipe
from ftapp.recipe.metrics import ACCURACY, AUC, MACRO_F1
from ftapp.training import cost_estimate
from ftapp.training.build_model import build_model


@dataclass(frozen=True)
class Device:
    """What a training computes on.

    Attributes:
        name: The device in words.
        precision: The precision in force.
        reason: What chose the precision, in words.
    """

    name: str
    precision: str
    reason: str


@dataclass(frozen=True)
class Setup:
    """What a training works on.

    Attributes:
        recipe: The recipe.
        device: What it computes on.
        pretrained: The preset.
        splits: The encoded data.
        model: The whole model with its first weights.
        layers: Its layers that hold weights.
        plans: What trains in each phase.
    """

    recipe: Recipe
    device: Device
    pretrained: Pretrained
    splits: EncodedSplits
    model: keras.Model
    layers: Sequence[ModelLayer]
    plans: Sequence[LayerPlan]

    @functools.cached_property
    def calls(self) -> list[Call] | None:
        """What the model computes for one example; None where shapes alone do not say."""
        return cost_estimate.list_calls(self.recipe, self.model)


def choose_device(precision: str, devices: int = 1) -> Device:
    """Choose the devices and the precision, which everything that is built from now on computes in.

    Args:
        precision: float32, bfloat16, float16, or auto.
        devices: Over how many devices each batch is shared.

    Raises:
        RecipeError: The backend does not have as many devices.
    """
    backend.hush_tracing()
    name = backend.device()
    if devices > 1:
        share_batches(devices)
        name = f"{devices} devices, the first {name}"
    else:
        use_one_device()
    return Device(name, *backend.choose_precision(precision))


def set_up(
    recipe: Recipe,
    device: Device,
    found: Splits | DocumentSplits | None,
    progress: Progress,
    on_data: Callable[[EncodedSplits], None] = lambda splits: None,
) -> Setup:
    """Load the preset and the data, and build the model.

    Args:
        recipe: The recipe.
        device: What it computes on.
        found: The recipe's data; None where they are still to be read.
        progress: Receives downloads and preparations.
        on_data: Is called with the encoded data before the model is built.

    Raises:
        RecipeError: The recipe does not fit its model or data.
        RunError: The preset or the data could not be loaded.
    """
    if recipe.devices > 1 and recipe.parallel == "model":
        share_weights(recipe.devices, build.find_backbone_class(recipe, progress))
    pretrained = build.load_pretrained(recipe, progress)
    splits = load_encoded(recipe, pretrained.preprocessor, progress, found)
    on_data(splits)
    check_metrics(recipe, len(splits.classes))
    check_updates(recipe, len(splits.train))
    model, layers, plans = build_model(recipe, pretrained, splits)
    return Setup(recipe, device, pretrained, splits, model, layers, plans)


def check_metrics(recipe: Recipe, classes: int) -> None:
    """Check that the metrics that decide about the weights are measured.

    Args:
        recipe: The recipe.
        classes: How many classes the data have.

    Raises:
        RecipeError: One of them is not.
    """
    wanted = {"stop.metric": recipe.stop and recipe.stop.metric, "keep.best": recipe.keep and recipe.kept_metric}
    if classes <= MOST_CLASSES:
        return
    problems = [
        Problem(
            "",
            key,
            f"{metric.label} is measured for at most {MOST_CLASSES} classes, and the data have {classes}; did you mean "
            f"'{ACCURACY.name}'?",
        )
        for key, name in wanted.items()
        for metric in (MACRO_F1, AUC)
        if metric.name == name
    ]
    if problems:
        raise RecipeError(problems)


def check_updates(recipe: Recipe, examples: int) -> None:
    """Check that each phase is long enough for an update, where it accumulates gradients.

    Args:
        recipe: The recipe.
        examples: The number of training examples.

    Raises:
        RecipeError: A phase is not.
    """
    problems = []
    for phase in recipe.phase:
        batches = phase.steps or (phase.epochs or 0) * math.ceil(examples / phase.batch_size)
        if batches < phase.accumulate:
            message = f"{phase.accumulate} batches make an update, and the phase has {batches}; the most is {batches}"
            problems.append(Problem("", f"phase.{phase.name}.accumulate", message))
    if problems:
        raise RecipeError(problems)
