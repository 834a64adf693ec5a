"""The examples of a data source: labelled texts or images with random access, and the subsets that a run works on."""

from __future__ import annotations

import functools
import os
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import Problem, RecipeError
from ftapp.common.formatting import escape_unprintable, format_quantity, join_labels, join_names
from ftapp.data.hashes import Hashes, hash_content, stack_hashes
from ftapp.data.strata import find_strata
from ftapp.data.time_splits import Times
from ftapp.recipe.folder_layout import Role

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLITS: dict[Role, int] = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
"""The values of `Examples.given_split`."""
SPLIT_NAMES = ("train", "validation", "test")

Labels = NDArray[Any]
"""The labels of examples, as `Examples.labels` describes them."""

_SHOWN = 10  # problems; a file with the wrong encoding or column has thousands


class Examples(ABC):
    """All examples of a source.

    Attributes:
        labels: int32 (examples,), positions in `classes`, all 0 for texts without labels; bool (examples, classes),
            whether an example has each class, where it may have several; or float32 (examples,), numbers.
        classes: The names of the classes in the order of the model's outputs; empty for texts without labels and for
            numbers.
        given_split: int8 (examples,), TRAIN, VALIDATION or TEST; None when the recipe decides the splits.
        groups: int64 (examples,), the numbers of groups of which none is in two splits; None where there are none.
        times: The time of each example, by which splits are cut; None where they are drawn.
        weights: float32 (examples,), by how much the loss of each example counts; None where all count the same.
        notes: Decisions that were made when the source was read, in sentences.
        decodes: Whether the examples are image files, which are decoded when they are asked for.
    """

    labels: Labels
    classes: tuple[str, ...]
    given_split: NDArray[np.int8] | None = None
    groups: NDArray[np.int64] | None = None
    times: Times | None = None
    weights: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()
    decodes = False

    @functools.cached_property
    def strata(self) -> NDArray[np.int32]:
        """The stratum of each example, int32 (examples,) (`ftapp.data.strata`)."""
        return find_strata(self.labels)

    def describe_label(self, index: int) -> str:
        """Write the label of an example: its class, its classes, or its number."""
        label = self.labels[index]
        if self.labels.ndim == 2:
            return describe_set(label, self.classes)
        return self.classes[label] if self.classes else f"{label:g}"

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, index: int) -> str | NDArray[np.uint8]:
        """A text, or an RGB image, uint8 [height, width, 3]."""

    def read_image(self, index: int, at_least: int | None = None) -> NDArray[np.uint8]:
        """Read an image, which a source of image files may decode at a fraction of its size.

        Args:
            index: The example.
            at_least: The pixels that each side keeps; None for the whole size.

        Returns:
            The RGB image, uint8 (height, width, 3).
        """
        return np.asarray(self[index], np.uint8)

    def locate(self, index: int) -> str:
        """Name the place of an example in its source, for messages."""
        return f"example {index + 1}"

    def find_file(self, index: int) -> Path | None:
        """Find the file that an example has for itself; None where it has none."""
        return None

    @abstractmethod
    def digest(self, index: int) -> bytes:
        """Hash all that decides the model's input from the example."""

    def identify_all(self) -> Hashes:
        """Compute hashes of all examples that equal ones share."""
        return stack_hashes(map(self.digest, range(len(self))))


class Texts(Examples):
    """Texts in memory. Two texts are equal when they differ at most in Unicode form and in space around them.

    Args:
        texts: The texts.
        labels: As `Examples` has them; None for texts without labels.
        classes: The names of the classes.
        given_split: int8 (texts,), TRAIN, VALIDATION or TEST; None when the recipe decides the splits.
        names: The name of each text, such as its file's or "row 7"; None for numbers.
        notes: Decisions that were made when the source was read, in sentences.
        groups: int64 (texts,), as `Examples` has them.
    """

    def __init__(
        self,
        texts: Sequence[str],
        labels: Labels | None = None,
        classes: tuple[str, ...] = (),
        given_split: NDArray[np.int8] | None = None,
        names: Sequence[str] | None = None,
        notes: tuple[str, ...] = (),
        groups: NDArray[np.int64] | None = None,
    ) -> None:
        self.texts = texts
        self.groups = groups
        self.names = names
        self.notes = notes
        self.labels = np.zeros(len(texts), np.int32) if labels is None else labels
        self.classes = classes
        self.given_split = given_split

    def __getitem__(self, index: int) -> str:
        return self.texts[index]

    def locate(self, index: int) -> str:
        """Name the text, such as by its file."""
        return self.names[index] if self.names else super().locate(index)

    def digest(self, index: int) -> bytes:
        """Hash the text, Unicode form and space around it aside."""
        return hash_content(unicodedata.normalize("NFC", self.texts[index].strip()).encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class Subset:
    """Some of a source's examples.

    Attributes:
        examples: All examples of the source.
        indices: int64 (m,), positions in `examples`.
    """

    examples: Examples
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> str | NDArray[np.uint8]:
        """The example at a position of this subset: a text, or an RGB image, uint8 [height, width, 3]."""
        return self.examples[int(self.indices[position])]

    def read_image(self, position: int, at_least: int | None = None) -> NDArray[np.uint8]:
        """Read the image at a position of this subset, as `Examples.read_image` does."""
        return self.examples.read_image(int(self.indices[position]), at_least)

    def locate(self, position: int) -> str:
        """Name the place of the example at a position of this subset, as `Examples.locate` does."""
        return self.examples.locate(int(self.indices[position]))

    def find_file(self, position: int) -> Path | None:
        """Find the file of the example at a position of this subset, as `Examples.find_file` does."""
        return self.examples.find_file(int(self.indices[position]))

    def digest(self, position: int) -> bytes:
        """Hash the example at a position of this subset, as `Examples.digest` does."""
        return self.examples.digest(int(self.indices[position]))

    @property
    def labels(self) -> Labels:
        """The labels of the examples, as `Examples` has them."""
        return self.examples.labels[self.indices]

    @property
    def weights(self) -> NDArray[np.float32] | None:
        """By how much the loss of each example counts, float32 (m,); None where all count the same."""
        return None if self.examples.weights is None else self.examples.weights[self.indices]

    def describe_label(self, position: int) -> str:
        """Write the label of the example at a position of this subset, as `Examples.describe_label` does."""
        return self.examples.describe_label(int(self.indices[position]))

    @property
    def class_counts(self) -> tuple[int, ...]:
        """The number of examples of each class, in the order of `examples.classes`."""
        return tuple(count_classes(self.labels, len(self.examples.classes)))


@dataclass(frozen=True)
class Splits:
    """The labelled examples of a run, read and split; no example is in two splits.

    Each split is in random order, so that its first examples are a sample of all.

    Attributes:
        train: The examples to train on.
        validation: The examples to watch the run on.
        test: The examples to measure the result on.
        classes: The names of the classes.
        duplicates: The number of duplicates that were dropped.
        notes: Decisions that were made when the source was read, in sentences.
    """

    train: Subset
    validation: Subset
    test: Subset
    classes: tuple[str, ...]
    duplicates: int
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, tuple[int, ...]]:
        """Examples of each class, in the order of `classes`, by the name of the split."""
        return {name: getattr(self, name).class_counts for name in SPLIT_NAMES}


@dataclass(frozen=True)
class DocumentSplits:
    """The texts of a language model's run, read and split.

    Attributes:
        train: The texts to train on.
        validation: The texts to watch the run on.
        test: The texts to measure the result on.
        duplicates: The number of duplicates that were dropped.
        notes: Decisions that were made when the source was read, in sentences.
    """

    train: list[str]
    validation: list[str]
    test: list[str]
    duplicates: int
    notes: tuple[str, ...] = ()


class DataProblem(NamedTuple):
    """A problem of one example.

    Attributes:
        file: The file of the example.
        key: The recipe's key that decides it.
        message: What is wrong.
        place: The place in the file, such as "row 7"; "" for the whole file.
    """

    file: str
    key: str
    message: str
    place: str


@dataclass
class DataProblems:
    """The problems of a user's data, collected so that all of them are reported together.

    Attributes:
        found: The problems so far.
    """

    found: list[DataProblem] = field(default_factory=list)

    def add(self, file: object, message: str, key: str = "data.source", place: str = "") -> None:
        """Note a problem.

        Args:
            file: The file that has the problem.
            message: What is wrong, the rule, and the nearest valid choice.
            key: The recipe's key that decides it.
            place: The place in the file, such as "row 7"; "" for the whole file.
        """
        self.found.append(DataProblem(escape_unprintable(str(file)), key, escape_unprintable(message), place))

    def clear(self) -> None:
        """Forget the problems: they follow from another one."""
        self.found.clear()

    def check(self) -> None:
        """Raise the problems, if there are any; those that differ only in file or place are one.

        Raises:
            RecipeError: There are problems.
        """
        groups: dict[tuple[str, str, str], list[DataProblem]] = {}
        for each in self.found:
            groups.setdefault((each.key, each.message, each.file if each.place else ""), []).append(each)
        problems = [_merge_findings(group) for group in groups.values()]
        rest = len(problems) - _SHOWN
        if rest > 0:
            more = f"and {format_quantity(rest, 'more problem')} of the data"
            raise RecipeError([*problems[:_SHOWN], Problem("", "data.source", more)])
        if problems:
            raise RecipeError(problems)


def _merge_findings(group: list[DataProblem]) -> Problem:
    """Make one problem of several findings with the same key and message."""
    first = group[0]
    if first.place:
        return Problem(first.file, first.key, f"{_join_places([each.place for each in group])}: {first.message}")
    if len(group) == 1:
        return Problem(first.file, first.key, first.message)
    files = list(dict.fromkeys(each.file for each in group))
    folder = os.path.commonpath(files) if all(map(os.path.isabs, files)) else ""
    names = join_names([os.path.relpath(file, folder) if folder else file for file in files])
    return Problem(folder, first.key, f"{len(files)} files: {names}: {first.message}")


def _join_places(places: list[str]) -> str:
    """Write places as "row 7", or "rows 7, 8, 9 and 40 more"."""
    kind = places[0].partition(" ")[0]
    if len(places) == 1 or not all(place.startswith(f"{kind} ") for place in places):
        return join_names(places)
    return f"{kind}s {join_names([place.removeprefix(f'{kind} ') for place in places])}"


def describe_set(has_class: NDArray[np.bool_], classes: Sequence[str]) -> str:
    """Write the names of the classes that an example has.

    Args:
        has_class: Whether it has each class, (classes,).
        classes: Their names.
    """
    return join_labels([name for name, has in zip(classes, has_class, strict=True) if has])


def count_classes(labels: Labels, classes: int) -> list[int]:
    """Count the examples of each class.

    Args:
        labels: The labels of some examples, as `Examples` has them.
        classes: How many classes there are; 0 for numbers and texts without labels.

    Returns:
        The counts in the order of the classes.
    """
    if not classes:
        return []
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=classes)
    return [int(count) for count in counts]
