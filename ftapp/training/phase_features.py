"""The cached features of a phase: its entry of the cache, held open while the phase goes on."""

from __future__ import annotations

from contextlib import ExitStack

from ftapp.common.safe_files import explain_error
from ftapp.data.dataset import EncodedSplits
from ftapp.freezing import feature_cache, feature_store
from ftapp.freezing.cut import Cut
from ftapp.freezing.feature_files import FeatureColumn, FeatureStore
from ftapp.freezing.feature_store import CachedFeatures
from ftapp.models import backend
from ftapp.recipe import Phase, Recipe
from ftapp.training.feature_choice import count_views


def open_features(
    stack: ExitStack, recipe: Recipe, phase: Phase, halves: Cut, splits: EncodedSplits, size: int
) -> tuple[dict[str, CachedFeatures], str]:
    """Open the features of all splits, which nobody removes until `stack` is closed.

    Args:
        stack: Holds what is opened.
        recipe: The recipe of the run.
        phase: The phase that trains on the features.
        halves: The model, cut above the frozen layers.
        splits: The encoded data.
        size: Bytes that the features of the phase take.

    Returns:
        (the features by the name of the split, ""), or ({}, the reason why none can be kept).
    """
    columns = feature_store.list_columns(halves, recipe.frozen.dtype)
    # For `ftapp cache` to list: the preset without the hash of where it comes from.
    preset = recipe.model.preset.partition("#")[0].rpartition("/")[2] or recipe.model.preset
    label = f"{preset}: {halves.layers[0]} to {halves.layers[-1]}"
    key = feature_store.make_key(halves, recipe.frozen.dtype)
    store, refusal = _open_store(stack, key, label, columns, size)
    if store is None:
        return {}, refusal
    halves.frozen.compile(jit_compile=backend.jit_compile())
    views = count_views(recipe, phase, splits)
    names = ("train", "validation", "test")
    return {name: CachedFeatures(getattr(splits, name), halves, store, views) for name in names}, ""


def _open_store(
    stack: ExitStack, key: str, label: str, columns: tuple[FeatureColumn, ...], size: int
) -> tuple[FeatureStore | None, str]:
    """Open the store of an entry until the stack is closed; or give None, and the reason why it keeps no features.

    An entry that can be read but not written is opened too: what it lacks is computed in each step.
    """
    try:
        folder = stack.enter_context(feature_cache.open_entry(key, label))
    except OSError as error:
        return (
            None,
            f"{feature_cache.folder()} cannot be written: {explain_error(error)} (FTAPP_CACHE names another folder)",
        )
    store = FeatureStore(folder, columns)
    stack.callback(store.close)
    if store.unwritable and not len(store):
        return None, f"{folder} cannot be written: {store.unwritable} (FTAPP_CACHE names another folder)"
    if not store.unwritable and (refusal := feature_cache.make_room(size, folder)):
        return None, refusal
    return store, ""
