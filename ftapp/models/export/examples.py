"""Examples of a run's data, for the check of an export and for the ranges of int8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ftapp.data import images
from ftapp.data.completions import Completions
from ftapp.data.encoding import compute_padded_width, encode_texts, get_longer_side, resize_images
from ftapp.data.examples import DocumentSplits, Splits, Subset
from ftapp.data.texts import prepare
from ftapp.models.export.request import CheckExamples
from ftapp.models.export.serving import Inputs
from ftapp.models.export.tokenizer_json import encode_prompt
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS

_CALIBRATED, _BATCH = 32, 8  # examples of the training split that give the ranges of int8, and at a time
_MOST_TOKENS = 48  # of a text that a language model continues
_CHARACTERS = 4  # of a token, about


def choose_test_examples(trained: TrainedModel, splits: Splits | DocumentSplits, count: int) -> CheckExamples | None:
    """Choose examples of the test split.

    Args:
        trained: The trained model.
        splits: The data of its run.
        count: How many examples are chosen at most; they lie spread over documents, and are the first of labelled ones.

    Returns:
        The examples; None where the split is empty.
    """
    texts, labels = _read_split(trained, splits, "test", count)
    return CheckExamples(texts, labels) if texts else None


def encode_calibration(trained: TrainedModel, splits: Splits | DocumentSplits) -> list[Inputs]:
    """Encode examples of the training split as an exported model takes them, in batches.

    Args:
        trained: The trained model.
        splits: The data of its run.
    """
    examples, _ = _read_split(trained, splits, "train", _CALIBRATED)
    if trained.causal_lm is not None:
        rows = [np.array([encode_prompt(trained, text)], np.int32) for text in examples]
        return [{"token_ids": ids, "padding_mask": np.ones_like(ids)} for ids in rows]
    batches = [examples[start : start + _BATCH] for start in range(0, len(examples), _BATCH)]
    if TASKS[trained.task].inputs == "images":
        return [{"images": resize_images(_open_images(trained, batch), trained.preprocessor)} for batch in batches]
    return [_encode_texts(trained, batch) for batch in batches]


def _encode_texts(trained: TrainedModel, texts: Sequence[str]) -> Inputs:
    encoded = encode_texts(texts, trained.preprocessor)
    mask = encoded["padding_mask"]
    width = compute_padded_width(mask.sum(axis=1), mask.shape[1])
    return {name: encoded[name][:, :width].astype(np.int32) for name in ("token_ids", "padding_mask")}


def _open_images(trained: TrainedModel, batch: Sequence[Any]) -> list[Any]:
    side = get_longer_side(trained.preprocessor)
    return [each if isinstance(each, np.ndarray) else images.read(each, side) for each in batch]


def _read_split(trained: TrainedModel, splits: Splits | DocumentSplits, name: str, count: int) -> tuple[list[Any], Any]:
    """Read the first examples of a split, and their labels; None for those of language models."""
    part = getattr(splits, name)
    if not isinstance(part, Subset):
        return _cut_documents(trained, part, count), None
    positions = range(min(count, len(part)))
    if isinstance(part.examples, Completions):
        prompts = [part.examples.read_exchange(int(part.indices[each])).prompt for each in positions]
        return [_shorten(trained, prompt) for prompt in prompts], None
    if TASKS[trained.task].inputs == "texts":
        return [part[each] for each in positions], part.labels[: len(positions)]
    side = get_longer_side(trained.preprocessor)
    read = [part.find_file(each) or part.read_image(each, side) for each in positions]
    return read, part.labels[: len(positions)]


def _cut_documents(trained: TrainedModel, documents: Sequence[str], count: int) -> list[str]:
    """Cut texts out of documents, evenly spread over them all."""
    whole = "\n".join(documents)
    starts = np.linspace(0, max(0, len(whole) - _CHARACTERS * _MOST_TOKENS), count).astype(int)
    pieces = [_shorten(trained, whole[start:].partition(" ")[2] or whole) for start in dict.fromkeys(starts.tolist())]
    return [piece for piece in pieces if piece.strip()]


def _shorten(trained: TrainedModel, text: str) -> str:
    """Leave out the last words of a text until the model has room to continue it."""
    most = min(_MOST_TOKENS, trained.preprocessor.sequence_length // 2)
    text = prepare(text[: 2 * _CHARACTERS * most])
    while len(encode_prompt(trained, text)) > most and len(text) > 1:
        text = text[: len(text) * 3 // 4].rpartition(" ")[0] or text[: len(text) // 2]
    return text
