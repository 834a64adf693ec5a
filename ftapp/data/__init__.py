"""Data: a recipe's source, read, checked, freed of duplicates and split. Needs NumPy, never Keras."""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from ftapp import sources
from ftapp.data.examples import DocumentSplits, Examples, Splits, Subset, Texts
from ftapp.data.splits import split, split_documents
from ftapp.fetch import Progress
from ftapp.recipe import Data
from ftapp.sources import Source

__all__ = ["SOURCES", "DocumentSplits", "Examples", "Splits", "Subset", "documents", "load"]

SOURCES = {
    "csv": "table",
    "jsonl": "table",
    "folder": "folder",
    "text": "texts",
    "gutenberg": "gutenberg",
    "sklearn": "digits",
    "tfds": "tfds_source",
}
"""Scheme of a source -> the module here that reads it; imported on use, since what it needs takes seconds to import."""


class _Reader(Protocol):
    def read(self, spec: Data, source: Source, task: str, progress: Progress | None = None) -> Examples:
        """All examples of a source, checked."""


def load(spec: Data, task: str, seed: int, progress: Progress | None = None) -> Splits:
    """The labelled examples of a source, split. The same for the same data, recipe and seed, in any process.

    `progress` is told of downloads and of the check of images, in bytes. Raises RecipeError for data that cannot be
    used as it stands, with the file and the row or image; RunError when a download fails.
    """
    return split(_read(spec, task, progress), spec, seed)


def documents(spec: Data, seed: int, progress: Progress | None = None) -> DocumentSplits:
    """The texts of a source for a causal language model, split. Raises as `load` does."""
    return split_documents(cast(Texts, _read(spec, "causal-lm", progress)), spec, seed)


def _read(spec: Data, task: str, progress: Progress | None) -> Examples:
    source = sources.parse(spec.source)
    reader = cast(_Reader, importlib.import_module(f"ftapp.data.{SOURCES[source.scheme]}"))
    return reader.read(spec, source, task, progress)
