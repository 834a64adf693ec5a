"""Datasets as models take them, and the keys from which the augmentation of a batch follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ftapp.recipe.templates import Exchange

Targets = NDArray[Any]
"""The labels of a batch, as `Dataset.get_targets` describes them."""

IGNORED = -1
"""The target of a position on which no loss is, such as those within a prompt."""


class NumberScale(NamedTuple):
    """The scale of the numbers that regression learns. The head computes in it, and the model puts out plain numbers.

    Attributes:
        mean: The mean of the training split.
        deviation: Its standard deviation, above 0.
    """

    mean: float
    deviation: float


class BatchKey(NamedTuple):
    """The numbers of a training step; the augmentation of its batch follows from them.

    Attributes:
        seed: The run's seed.
        phase: The index of the phase.
        epoch: The epoch in the phase, from 0.
        step: The step in the epoch, from 0.
    """

    seed: int
    phase: int
    epoch: int
    step: int


class AugmentedView(NamedTuple):
    """One of the augmented views that are cached of each example; the augmentation follows from it and the example.

    Attributes:
        seed: The run's seed.
        number: The number of the view, from 0.
    """

    seed: int
    number: int


class Lengths(Protocol):
    """The number of tokens of each example; an array of them is one."""

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.int64]:
        """Look up the numbers of tokens of some examples.

        Args:
            indices: The examples, int64 (examples,).

        Returns:
            Int64 (examples,).
        """
        ...


class Dataset(Protocol):
    """Examples as a model takes them."""

    @property
    def lengths(self) -> Lengths | None:
        """The number of tokens of each example; None where all examples have the same size."""

    def __len__(self) -> int: ...

    def make_inputs(self, indices: NDArray[np.int64], key: BatchKey | None) -> Any:
        """Return what the model takes for some examples.

        Args:
            indices: The examples, int64 (batch,).
            key: The step, which decides the augmentation; None for no augmentation.

        Returns:
            An array or arrays by name, with the examples along the first axis.
        """

    def get_targets(self, indices: NDArray[np.int64]) -> Targets:
        """Return the labels of some examples.

        Args:
            indices: The examples, int64 (batch,).

        Returns:
            Class numbers (batch,); whether each has each class (batch, classes); numbers (batch,); or the next token
            at each position (batch, tokens), `IGNORED` where it does not count.
        """
        ...


class EncodedDataset(Dataset, Protocol):
    """The encoded examples of one split of the data."""

    def make_inputs(self, indices: NDArray[np.int64], key: BatchKey | AugmentedView | None) -> Any:
        """Return what the model takes for some examples.

        Args:
            indices: The examples, int64 (batch,).
            key: The step or the view, which decides the augmentation; None for no augmentation.

        Returns:
            An array or arrays by name, with the examples along the first axis.
        """

    def compute_width(self, indices: NDArray[np.int64]) -> int | None:
        """Return the number of tokens to which `make_inputs` pads some examples.

        Args:
            indices: The examples, int64 (batch,).

        Returns:
            The number of tokens; None for images.
        """

    def locate(self, index: int) -> str:
        """Name the place of an example in its source, such as "row 7", for people."""

    def find_file(self, index: int) -> Path | None:
        """Return the file that an example has for itself; None where it has none."""

    def digest(self, index: int) -> bytes:
        """Hash an example as it is in its source, to 16 bytes."""
        ...

    def read_example(self, index: int) -> str | Exchange | NDArray[np.uint8]:
        """Return an example as people see it: a text, an exchange, or an RGB image, uint8 (height, width, 3)."""

    def hash_examples(self, indices: NDArray[np.int64], view: AugmentedView | None) -> list[bytes]:
        """Hash all that decides the inputs of some examples, padding aside.

        Args:
            indices: The examples, int64 (batch,).
            view: The augmented view; None for no augmentation.

        Returns:
            A hash of 16 bytes for each example.
        """
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
        scale: The scale of the numbers that regression learns; None for other labels.
        weights: By how much the loss of each training example counts, 1 on average, float32 (examples,); None where
            all count the same.
    """

    train: EncodedDataset
    validation: EncodedDataset
    test: EncodedDataset
    classes: tuple[str, ...]
    duplicates: int
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    scale: NumberScale | None = None
    weights: NDArray[np.float32] | None = None
