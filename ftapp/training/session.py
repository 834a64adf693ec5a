"""What a phase works on: the model whole, or cut above its frozen layers with their outputs kept on disk."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from ftapp.analysis.metrics.confusion import MOST_CLASSES
from ftapp.common.safe_files import reason
from ftapp.data.dataset import BatchKey, Dataset, EncodedDataset, EncodedSplits
from ftapp.data.order import epoch_order, split_into_batches
from ftapp.data.prefetch import prefetch
from ftapp.freezing import feature_cache, feature_store, freeze
from ftapp.freezing.cut import Boundary, Cut, cut
from ftapp.freezing.feature_files import FeatureColumn, FeatureStore
from ftapp.freezing.feature_store import CachedFeatures
from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models import backend, heads
from ftapp.models.flops import Call
from ftapp.models.heads import NORMALIZATION
from ftapp.recipe import Phase, Recipe
from ftapp.runs.events import CacheChoice
from ftapp.training import cost_estimate
from ftapp.training.instrumented_model import Instrumented, instrumented

# Below so many FLOPs for each byte that it puts out, computing a frozen half again is as fast as reading what was kept:
# a core multiplies at some 50 GFLOP/s and copies from memory-mapped files at about 1 GB/s.
_WORTH = 50
# Examples that statistics of features are of, at least.
_STATISTICS = 512


@dataclass(frozen=True)
class Stage:
    """A phase's model, still to be compiled, and its data, by the names of the splits.

    below: what the frozen layers at the bottom do for one example, empty where there are none and None where that
    cannot be told (`cost_estimate.calls_of`); features: the data of a phase that keeps features, else empty; is_known:
    whether all layers below a new head's normalization are frozen, so that it gets the same of an example at each step.
    """

    model: Instrumented
    data: dict[str, Dataset]
    choice: CacheChoice
    below: list[Call] | None
    features: dict[str, CachedFeatures] = field(default_factory=dict)
    is_known: bool = False


def epochs(phase: Phase, examples: int) -> tuple[int, int]:
    """(steps of the phase, steps of an epoch) on so many training examples."""
    per_epoch = math.ceil(examples / phase.batch_size)
    return phase.steps or (phase.epochs or 0) * per_epoch, per_epoch


@contextmanager
def staged(recipe: Recipe, phase: Phase, model: keras.Model, plan: LayerPlan, splits: EncodedSplits) -> Iterator[Stage]:
    """The stage of a phase, whose kept features nobody removes until the context ends.

    model: whole, with its `layer.trainable` flags set as planned.
    """
    data: dict[str, Dataset] = {name: getattr(splits, name) for name in ("train", "validation", "test")}
    predicts = recipe.task != "causal-lm" and len(splits.classes) <= MOST_CLASSES
    measured = functools.partial(instrumented, predicts=predicts)
    halves = cut(model, plan, dropout=recipe.frozen.dropout)
    known = None if isinstance(halves, str) else halves
    below = cost_estimate.calls_of(recipe, known.frozen) if known else []
    is_known = known is not None and known.above == NORMALIZATION
    choice = choose(recipe, phase, halves, below, splits)
    with ExitStack() as stack:
        if not recipe.frozen.dropout:
            stack.enter_context(freeze.dropout_disabled(model, known.plain if known else ()))
        if known is None or not choice.cached:
            yield Stage(measured(model), data, choice, below, is_known=is_known)
            return
        columns = feature_store.list_columns(known, recipe.frozen.dtype)
        # For `ftapp cache` to list: the preset without the hash of where it comes from.
        preset = recipe.model.preset.partition("#")[0].rpartition("/")[2] or recipe.model.preset
        label = f"{preset}: {known.layers[0]} to {known.layers[-1]}"
        store, refused = _open_store(
            stack, feature_store.make_key(known, recipe.frozen.dtype), label, columns, choice.size
        )
        if store is None:
            choice = msgspec.structs.replace(choice, cached=False, reason=refused)
            yield Stage(measured(model), data, choice, below, is_known=is_known)
            return
        known.frozen.compile(jit_compile=backend.jit_compile())
        views = views_of(recipe, phase, splits)
        made = {name: CachedFeatures(getattr(splits, name), known, store, views) for name in data}
        yield Stage(measured(known.rest), dict(made), choice, below, made, is_known)


def _open_store(
    stack: ExitStack, key: str, label: str, columns: tuple[FeatureColumn, ...], size: int
) -> tuple[FeatureStore | None, str]:
    """The store of an entry, open until the stack is closed; or None, and why no features can be kept in it.

    An entry that can be read but not written is open too: what it lacks is computed in each step.
    """
    try:
        folder = stack.enter_context(feature_cache.open_entry(key, label))
    except OSError as error:
        return None, f"{feature_cache.folder()} cannot be written: {reason(error)} (FTAPP_CACHE names another folder)"
    store = FeatureStore(folder, columns)
    stack.callback(store.close)
    if store.unwritable and not len(store):
        return None, f"{folder} cannot be written: {store.unwritable} (FTAPP_CACHE names another folder)"
    if not store.unwritable and (refused := feature_cache.make_room(size, folder)):
        return None, refused
    return store, ""


def choose(
    recipe: Recipe, phase: Phase, halves: Cut | Boundary | str, below: list[Call] | None, splits: EncodedSplits
) -> CacheChoice:
    """Whether to keep the outputs of the frozen layers at the bottom.

    halves: the cut or where it lies, or why there is none; below: what its frozen half does, None where that cannot be
    told.
    """
    if isinstance(halves, str):
        return CacheChoice(cached=False, reason=halves)
    columns = feature_store.list_columns(halves, recipe.frozen.dtype)
    choice = functools.partial(CacheChoice, layers=list(halves.layers), size=_size(recipe, phase, columns, splits))
    if not recipe.frozen.cache:
        return choice(cached=False, reason="the recipe says so (frozen.cache = false)")
    steps, per_epoch = epochs(phase, len(splits.train))
    views = views_of(recipe, phase, splits)
    what = "augmented view of each example" if views else "example"
    # A new head's normalization looks at the examples of the run's first epoch once before it.
    looks = halves.above == NORMALIZATION and phase.name == recipe.phase[0].name
    uses = (max(1, steps / per_epoch) + 1 if looks else steps / per_epoch) / max(1, views)
    if uses <= 1:
        return choice(cached=False, reason=f"the phase sees each {what} once")
    if below is not None and cost_estimate.forward_flops(below) < _WORTH * _put_out(
        columns, recipe.model.sequence_length or 0
    ):
        return choice(cached=False, reason="to compute them again is as fast as to read them")
    each = f"{views} augmented views of each example are kept, each" if views else "each example"
    return choice(cached=True, reason=f"{each} is used {uses:.3g} times")


def calibrate(
    recipe: Recipe,
    phase: Phase,
    stage: Stage,
    train: EncodedDataset,
    prepare: Callable[[NDArray[np.int64], BatchKey], bool],
    progress: Callable[[int, int], bool],
) -> None:
    """Give a new head's normalization, if there is one, the statistics that it keeps for the whole run.

    They are of the training split as the first epoch sees it, augmented if the recipe says so; of
    `statistics_examples` of it.

    Args:
        phase: the run's first, with its `stage`.
        train: the training examples, not as features.
        prepare: has the features of examples kept, if any are; False when the run is to end.
        progress: called with the examples done and in all; False when the run is to end.
    """
    if heads.find_normalization(stage.model) is None:
        return
    first = epoch_order(len(train), phase.batch_size, (recipe.seed, 0, 0), train.lengths)
    chosen = np.concatenate(first)[: statistics_examples(phase, len(train), is_known=stage.is_known)]
    if not prepare(chosen, BatchKey(recipe.seed, 0, 0, 0)):
        return
    if train.lengths is not None:  # so that little is padding
        chosen = chosen[np.argsort(train.lengths[chosen], kind="stable")]
    order = split_into_batches(chosen, recipe.evaluate.batch_size)

    def inputs(number: int) -> Any:
        return stage.data["train"].inputs(order[number], BatchKey(recipe.seed, 0, 0, number))

    heads.calibrate(stage.model, prefetch(inputs, iter(range(len(order)))), lambda done: progress(done, len(chosen)))


def statistics_examples(phase: Phase, examples: int, *, is_known: bool) -> int:
    """How many of so many training examples give a new head's normalization its statistics.

    Where the layers below are frozen (`Stage.is_known`): all that the first epoch uses. Elsewhere, where features
    change as those layers train, and at least: 512, whose mean is known to 4% of a standard deviation.
    """
    used = min(examples, epochs(phase, examples)[0] * phase.batch_size) if is_known else 0
    return min(examples, max(_STATISTICS, used))


def views_of(recipe: Recipe, phase: Phase, splits: EncodedSplits) -> int:
    """How many augmented views of each training example a phase uses; 0 without augmentation."""
    if recipe.augmentation is None:
        return 0
    steps, per_epoch = epochs(phase, len(splits.train))
    return min(recipe.augmentation.views, math.ceil(steps / per_epoch))


def _size(recipe: Recipe, phase: Phase, columns: tuple[FeatureColumn, ...], splits: EncodedSplits) -> int:
    """Bytes of the features of all examples that a phase trains on and of those that it is measured on."""
    steps, _ = epochs(phase, len(splits.train))
    trained = min(len(splits.train), steps * phase.batch_size)
    total = max(1, views_of(recipe, phase, splits)) * _bytes(splits.train, trained, columns)
    total += _bytes(splits.test, len(splits.test), columns)
    if recipe.evaluate.split == "validation":
        limit = min(recipe.evaluate.examples or len(splits.validation), len(splits.validation))
        total += _bytes(splits.validation, limit, columns)
    return total


def _bytes(dataset: EncodedDataset, examples: int, columns: tuple[FeatureColumn, ...]) -> int:
    if not len(dataset):
        return 0
    width = dataset.width(np.arange(1))
    tokens = float(width or 0) if dataset.lengths is None else float(dataset.lengths.mean())
    return round(examples * _put_out(columns, tokens))


def _put_out(columns: tuple[FeatureColumn, ...], tokens: float) -> float:
    """Bytes of the features of one example of so many tokens."""
    return sum(column.size * (tokens if column.by_token else 1) for column in columns)
