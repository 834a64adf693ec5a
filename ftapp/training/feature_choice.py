"""The choice of a phase: keep the outputs of the frozen layers at the bottom on disk, or compute them in each step."""

from __future__ import annotations

import functools
import math

import numpy as np

from ftapp.common.formatting import format_quantity
from ftapp.data.dataset import EncodedDataset, EncodedSplits
from ftapp.freezing import feature_store
from ftapp.freezing.cut import Boundary, Cut
from ftapp.freezing.feature_files import FeatureColumn
from ftapp.models.flops import Call
from ftapp.models.heads import NORMALIZATION
from ftapp.recipe import Phase, Recipe
from ftapp.recipe.schedule import count_steps
from ftapp.runs.phase_events import CacheChoice
from ftapp.training import cost_estimate

# Below so many FLOPs for each byte that it puts out, computing a frozen half again is as fast as reading what was kept:
# a core multiplies at some 50 GFLOP/s and copies from memory-mapped files at about 1 GB/s.
_WORTH = 50
_TEXTS = 512  # whose lengths stand for those of all


def choose_features(
    recipe: Recipe,
    phase: Phase,
    halves: Cut | Boundary | str,
    below: list[Call] | None,
    splits: EncodedSplits,
    begin: int = 0,
) -> CacheChoice:
    """Choose whether the outputs of the frozen layers at the bottom are cached.

    Args:
        recipe: The recipe of the run.
        phase: The phase to choose for.
        halves: The cut, or where it lies; or the reason why there is none.
        below: What the frozen half computes for one example; None where shapes alone do not say.
        splits: The encoded data.
        begin: The steps of the phase that are made already.
    """
    if isinstance(halves, str):
        return CacheChoice(cached=False, reason=halves)
    columns = feature_store.list_columns(halves, recipe.frozen.stored_dtype)
    choice = functools.partial(CacheChoice, layers=list(halves.layers))
    if not recipe.frozen.cache:
        return choice(cached=False, reason="the recipe says so (frozen.cache = false)")
    if recipe.augmentation and recipe.augmentation.mixes_labels:
        return choice(cached=False, reason="each step mixes the images of its batch (augment.mixup, augment.cutmix)")
    steps, per_epoch = count_steps(phase, len(splits.train))
    views = count_views(recipe, phase, splits)
    what = "augmented view of each example" if views else "example"
    # A new head's normalization looks at the examples of the run's first epoch once before it.
    looks = halves.above == NORMALIZATION and phase.name == recipe.phase[0].name and not begin
    epochs = (steps - begin) / per_epoch
    uses = (max(1, epochs) + 1 if looks else epochs) / max(1, views)
    if uses <= 1 and recipe.frozen.dtype != "int8":  # which computes them faster than the steps would
        return choice(cached=False, reason=f"the phase sees each {what} once")
    if below is not None and cost_estimate.forward_flops(below) < _WORTH * _put_out(
        columns, recipe.model.sequence_length or 0
    ):
        return choice(cached=False, reason="computing them is as fast as reading them")
    each = f"{views} augmented views of each example are cached, each" if views else "each example"
    # Only here, since texts are encoded to know their lengths.
    size = _size(recipe, phase, columns, splits)
    return choice(cached=True, reason=f"{each} is used {format_quantity(uses, 'time')}", size=size)


def count_views(recipe: Recipe, phase: Phase, splits: EncodedSplits) -> int:
    """Count the augmented views of each training example that a phase uses; 0 without augmentation."""
    if recipe.augmentation is None:
        return 0
    steps, per_epoch = count_steps(phase, len(splits.train))
    return min(recipe.augmentation.views, math.ceil(steps / per_epoch))


def _size(recipe: Recipe, phase: Phase, columns: tuple[FeatureColumn, ...], splits: EncodedSplits) -> int:
    """Bytes of the features of all examples that a phase trains on and of those that it is measured on."""
    steps, _ = count_steps(phase, len(splits.train))
    trained = min(len(splits.train), steps * phase.batch_size)
    total = max(1, count_views(recipe, phase, splits)) * _bytes(splits.train, trained, columns)
    total += _bytes(splits.test, len(splits.test), columns)
    if recipe.evaluate.split == "validation":
        limit = min(recipe.evaluate.examples or len(splits.validation), len(splits.validation))
        total += _bytes(splits.validation, limit, columns)
    return total


def _bytes(dataset: EncodedDataset, examples: int, columns: tuple[FeatureColumn, ...]) -> int:
    if not len(dataset):
        return 0
    if dataset.lengths is None:
        tokens = float(dataset.compute_width(np.arange(1)) or 0)
    else:
        tokens = float(dataset.lengths[np.unique(np.linspace(0, len(dataset) - 1, _TEXTS).astype(np.int64))].mean())
    return round(examples * _put_out(columns, tokens))


def _put_out(columns: tuple[FeatureColumn, ...], tokens: float) -> float:
    """Bytes of the features of one example of so many tokens."""
    return sum(column.size * (tokens if column.by_token else 1) for column in columns)
