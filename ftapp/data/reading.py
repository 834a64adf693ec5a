"""Reading a recipe's data: its source is read, checked, freed of duplicates and split."""

from __future__ import annotations

import dataclasses
import gc
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

from ftapp.common import downloads
from ftapp.common.downloads import Progress
from ftapp.data.class_balance import check_balance, describe_balance
from ftapp.data.examples import DataProblems, DocumentSplits, Examples, Splits, Texts
from ftapp.data.splits import split, split_documents
from ftapp.data.table_numbers import convert_classes
from ftapp.recipe import TASKS, Data, Recipe, sources
from ftapp.recipe.sources import Source

# Scheme of a source -> the module that reads it; imported on use, since what it needs takes seconds to import.
_MODULES = {
    "csv": "table",
    "jsonl": "table",
    "parquet": "table",
    "arrow": "table",
    "hf": "hub_table",
    "folder": "folder",
    "text": "texts",
    "gutenberg": "gutenberg",
    "sklearn": "digits",
    "tfds": "tfds_source",
}

_SPLITTERS: dict[str, Callable[[Any, Data, int], Splits | DocumentSplits]] = {
    "stratified": split,
    "documents": split_documents,
}
_LARGEST = 16 << 20  # bytes; the run reads them again, which takes a second


class _Reader(Protocol):
    def read(self, spec: Data, source: Source, task: str, progress: Progress | None = None) -> Examples:
        """Read and check all examples of a source.

        Args:
            spec: The recipe's [data].
            source: Its source, parsed.
            task: The name of the task.
            progress: Called with what is being done and how far it is.

        Returns:
            The examples.

        Raises:
            RecipeError: The data cannot be used as they stand.
        """
        ...


def load(spec: Data, task: str, seed: int, progress: Progress | None = None) -> Splits:
    """Read and split the labelled examples of a source, the same way for the same data, recipe and seed.

    Args:
        spec: The recipe's [data].
        task: The name of the task.
        seed: The run's seed.
        progress: Called with downloads, large files and checked images.

    Returns:
        The splits.

    Raises:
        RecipeError: The data cannot be used as they stand; the error names the file and the row or image.
        RunError: A download failed.
    """
    with _garbage_collection_disabled():
        return split(read_examples(spec, task, progress), spec, seed)


def load_documents(spec: Data, seed: int, progress: Progress | None = None) -> DocumentSplits:
    """Read and split the texts of a source for a causal language model.

    Args:
        spec: The recipe's [data].
        seed: The run's seed.
        progress: Called with downloads and large files.

    Returns:
        The splits.

    Raises:
        RecipeError: The data cannot be used as they stand.
        RunError: A download failed.
    """
    with _garbage_collection_disabled():
        return split_documents(cast(Texts, read_examples(spec, "causal-lm", progress)), spec, seed)


def read(recipe: Recipe, progress: Progress | None = None) -> Splits | DocumentSplits:
    """Read and split a recipe's data.

    Args:
        recipe: The recipe.
        progress: Called with downloads, large files and checked images.

    Returns:
        Labelled splits, or the splits of a language model's texts.

    Raises:
        RecipeError: The data cannot be used as they stand.
        RunError: A download failed.
    """
    split_examples = _SPLITTERS[TASKS[recipe.task].splitter]
    with _garbage_collection_disabled():
        found = split_examples(read_examples(recipe.data, recipe.task, progress), recipe.data, recipe.seed)
    if isinstance(found, Splits):
        check_balance(recipe.balance, found.classes)
        examples = len(found.train) if TASKS[recipe.task].labels == "sets" else None
        sentences = describe_balance(recipe.balance, found.classes, found.train.class_counts, examples)
        return dataclasses.replace(found, notes=(*found.notes, *sentences))
    return found


def read_early(recipe: Recipe, progress: Progress | None = None) -> Splits | DocumentSplits | None:
    """Read a recipe's data before Keras is imported, so that problems of data are reported seconds earlier.

    Returns:
        The data as `read` gives them; None for TensorFlow Datasets, which imports TensorFlow before devices are chosen.
    """
    return None if sources.parse(recipe.data.source).scheme == "tfds" else read(recipe, progress)


def check(recipe: Recipe, progress: Progress | None = None) -> None:
    """Check a recipe's data as `read` does, as far as that takes no download and little time.

    Tables and texts are read as a run reads them, which takes seconds for some ten megabytes. Of a folder of images the
    splits, the classes and the names of files are read, not the images. Data of a hub, of scikit-learn and files of
    more than 16 MiB, also archives, are left to the run.

    Args:
        recipe: The recipe.
        progress: Called with large files.

    Raises:
        RecipeError: The data cannot be used as they stand.
    """
    source = sources.parse(recipe.data.source)
    if source.scheme == "folder":
        from ftapp.data import folder

        if _measure_size(source) <= _LARGEST:
            folder.check(recipe.data, source, recipe.task)
    elif source.artifact:
        if downloads.is_cached(source.artifact):
            read(recipe, progress)
    elif (source.list_files() or source.scheme == "text") and _measure_size(source) <= _LARGEST:
        if TASKS[recipe.task].inputs == "images":
            from ftapp.data import table

            table.check(recipe.data, source, recipe.task, progress)
        else:
            read(recipe, progress)


def _measure_size(source: Source) -> int:
    """Count the bytes of a source's local files, those of a folder of images aside; 0 where there is none."""
    try:
        return sum(each.stat().st_size for each in source.list_files())
    except OSError:
        return 0


@contextmanager
def _garbage_collection_disabled() -> Iterator[None]:
    """Switch the collection of garbage off until the context ends.

    The millions of rows of a large table have no cycles, and the search for cycles takes a fourth of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def read_examples(spec: Data, task: str, progress: Progress | None = None) -> Examples:
    """Read all examples of a source, duplicates too.

    Args:
        spec: The recipe's [data].
        task: The name of the task.
        progress: Called with downloads, large files and checked images.

    Returns:
        The examples, not split.

    Raises:
        RecipeError: The data cannot be used as they stand.
        RunError: A download failed.
    """
    source = sources.parse(spec.source)
    reader = cast(_Reader, importlib.import_module(f"ftapp.data.{_MODULES[source.scheme]}"))
    examples = reader.read(spec, source, task, progress)
    if TASKS[task].labels == "numbers" and examples.classes:
        convert_classes(examples, DataProblems())
    return examples
