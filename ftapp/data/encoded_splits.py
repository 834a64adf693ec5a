"""A recipe's data as its model takes them: each split encoded, and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.common.downloads import Progress
from ftapp.common.errors import Problem, RecipeError
from ftapp.common.formatting import format_quantity
from ftapp.data import reading
from ftapp.data.augmentation import Augmenter, TextAugmenter
from ftapp.data.dataset import EncodedDataset, EncodedSplits, NumberScale
from ftapp.data.encoded import Images, LabelledTexts, Sequences
from ftapp.data.encoded_completions import EncodedCompletions, check_lengths
from ftapp.data.examples import DocumentSplits, Splits
from ftapp.data.table_weights import scale_weights
from ftapp.recipe import TASKS, Recipe


def load_encoded(
    recipe: Recipe,
    preprocessor: Any,
    progress: Progress,
    found: Splits | DocumentSplits | None = None,
) -> EncodedSplits:
    """Read a recipe's data, split and encode them.

    Args:
        recipe: The recipe.
        preprocessor: The preset's preprocessor.
        progress: Called with what is being done and how far it is.
        found: The data, where they have been read and split already.

    Returns:
        The encoded splits.

    Raises:
        RecipeError: The data cannot be used, or a split that the run needs is empty.
    """
    return encode_splits(recipe, found or reading.read(recipe, progress), preprocessor, progress)


def encode_splits(
    recipe: Recipe, found: Splits | DocumentSplits, preprocessor: Any, progress: Progress
) -> EncodedSplits:
    """Encode a recipe's data as its model takes them.

    Args:
        recipe: The recipe.
        found: Its data, split.
        preprocessor: The preset's preprocessor.
        progress: Called with what is being done and how far it is.

    Returns:
        The encoded splits.

    Raises:
        RecipeError: A split that the run needs is empty.
    """
    task = TASKS[recipe.task]
    encoded: dict[str, EncodedDataset] = {}
    for name in ("train", "validation", "test"):
        if task.writes:
            progress(f"tokenizing the {name} split", 0, None)
        encoded[name] = _encode(recipe, getattr(found, name), preprocessor)
    notes = (*found.notes, *_check_encoded(recipe, encoded))
    for name in dict.fromkeys(("train", "test", recipe.evaluate.split)):
        if not len(encoded[name]):
            message = f"the {name} split is empty; give it a larger share, or more data"
            if task.labels == "tokens":
                message = f"the {name} split has {_explain_few(getattr(found, name), preprocessor)}"
            raise RecipeError([Problem("", f"data.{name}" if name != "train" else "data.source", message)])
    parts = encoded["train"], encoded["validation"], encoded["test"]
    if isinstance(found, Splits):
        scale = measure_scale(found.train.labels) if task.labels == "numbers" else None
        weights = scale_weights(found.train.weights)
        return EncodedSplits(*parts, found.classes, found.duplicates, found.counts, notes, scale, weights)
    return EncodedSplits(*parts, (), found.duplicates, notes=notes)


def encode_whole(recipe: Recipe, part: Any, preprocessor: Any, progress: Progress) -> EncodedDataset:
    """Encode data that are not split as a language model takes them.

    Args:
        recipe: The recipe.
        part: The documents, or a subset of completions.
        preprocessor: The preset's preprocessor.
        progress: Called with what is being done.

    Raises:
        RecipeError: There are no texts, or one does not fit.
    """
    progress("tokenizing", 0, None)
    encoded = _encode(recipe, part, preprocessor)
    _check_encoded(recipe, {"test": encoded})
    if not len(encoded):
        has_tokens = TASKS[recipe.task].labels == "tokens"
        message = f"the source has {_explain_few(part, preprocessor) if has_tokens else 'no examples'}"
        raise RecipeError([Problem("", "data.source", message)])
    return encoded


def _encode(recipe: Recipe, part: Any, preprocessor: Any) -> EncodedDataset:
    """Encode a split. part: the documents of texts that are predicted whole, else a subset of examples."""
    task = TASKS[recipe.task]
    if task.labels == "completions":
        return EncodedCompletions(part, preprocessor)
    if task.labels == "tokens":
        return Sequences(part, preprocessor)
    if task.inputs == "texts":
        noise = TextAugmenter(recipe.augmentation, preprocessor.tokenizer) if recipe.augmentation else None
        return LabelledTexts(part, preprocessor, noise)
    return Images(part, preprocessor, _make_augmenter(recipe))


def _check_encoded(recipe: Recipe, encoded: Mapping[str, EncodedDataset]) -> list[str]:
    """Check the lengths of completions, as `check_lengths` does."""
    completions = {name: part for name, part in encoded.items() if isinstance(part, EncodedCompletions)}
    return check_lengths(recipe, completions) if completions else []


def _explain_few(documents: Sequence[str], preprocessor: Any) -> str:
    """Explain that documents give no sequence."""
    given, length = sum(map(len, documents)), preprocessor.sequence_length
    return (
        f"{format_quantity(given, 'character')}, too few for one sequence of {length} tokens; give it more text, or "
        "set a smaller model.sequence_length"
    )


def measure_scale(numbers: NDArray[Any]) -> NumberScale:
    """Measure mean and standard deviation of the numbers of a training split; of equal numbers the deviation is 1."""
    wide = numbers.astype(np.float64)
    return NumberScale(float(wide.mean()), float(wide.std()) or 1.0)


def _make_augmenter(recipe: Recipe) -> Augmenter | None:
    if recipe.augmentation is None or recipe.model.image_size is None:
        return None
    return Augmenter(recipe.augmentation, recipe.model.image_size)
