"""Datasets as models take them, and the keys from which the augmentation of a batch follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class BatchKey(NamedTuple):
    """The numbers of a training step; the augmentation of its batch follows from them."""

    seed: int
    phase: int
    epoch: int
    step: int


class AugmentedView(NamedTuple):
    """One of the augmented views that are cached of each example; the augmentation follows from it and the example."""

    seed: int
    number: int


class Dataset(Protocol):
    """Examples as a model takes them."""

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """The number of tokens of each example, int64 (examples,); None where all examples have the same size."""

    def __len__(self) -> int: ...

    def make_inputs(self, indices: NDArray[np.int64], key: BatchKey | None) -> Any:
        """Return what the model takes for these examples; `key` decides the augmentation, and None means none."""

    def get_targets(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return class numbers (examples,), or the next token at each position (examples, tokens)."""
        ...


class EncodedDataset(Dataset, Protocol):
    """The encoded examples of one split of the data."""

    def make_inputs(self, indices: NDArray[np.int64], key: BatchKey | AugmentedView | None) -> Any:
        """Return what the model takes for these examples, as a training step or an augmented view changes them."""

    def compute_width(self, indices: NDArray[np.int64]) -> int | None:
        """Return the number of tokens to which `make_inputs` pads these examples; None for images."""

    def hash_examples(self, indices: NDArray[np.int64], view: AugmentedView | None) -> list[bytes]:
        """Return for each example a hash of 16 bytes of all that decides its inputs, padding aside."""
        ...


@dataclass(frozen=True)
class EncodedSplits:
    """The encoded examples of a run.

    Attributes:
        train: The examples to train on.
        validation: The examples to watch the run on.
        test: The examples to measure the result on.
        classes: The names of the classes; empty for language models.
        duplicates: The number of duplicates that were dropped.
        counts: Examples of each class, in the order of `classes`, by the name of the split; empty for language models.
        notes: Decisions that were made when the source was read, in sentences.
    """

    train: EncodedDataset
    validation: EncodedDataset
    test: EncodedDataset
    classes: tuple[str, ...]
    duplicates: int
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
