"""`tfds:NAME`: a data set of TensorFlow Datasets, also with a configuration and a version: `tfds:NAME/CONFIG:VERSION`.

It is prepared once in the cache, or where TFDS_DATA_DIR says, in a format with random access, so that images stay on
disk until they are asked for. A data set that another program prepared there in TFDS's own format is read as well; its
images are then kept in memory as they are stored, compressed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ftapp.common import downloads, user_folders
from ftapp.common.downloads import Progress
from ftapp.common.errors import HubError, Problem, RecipeError, RunError, suggest_nearest
from ftapp.common.formatting import join_names
from ftapp.data import images, labels
from ftapp.data.examples import SPLITS, TRAIN, DataProblems, Examples, Texts
from ftapp.data.hashes import hash_content
from ftapp.data.texts import prepare
from ftapp.recipe import TASKS, Data, folder_layout
from ftapp.recipe.sources import Source

Record = Mapping[str, Any]


class _Images(Examples):
    """Images uint8 [height, width, 3], decoded when they are asked for. Equal images have equal stored bytes."""

    decodes = True

    def __init__(
        self,
        records: Sequence[Record],
        column: str,
        targets: NDArray[np.int32],
        classes: tuple[str, ...],
        given_split: NDArray[np.int8] | None,
        notes: tuple[str, ...],
    ) -> None:
        self._records = records
        self.notes = notes
        self._column = column
        self.labels = targets
        self.classes = classes
        self.given_split = given_split

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.read_image(index)

    def read_image(self, index: int, at_least: int | None = None) -> NDArray[np.uint8]:
        """Decode an image."""
        try:
            return images.decode(self._records[index][self._column], at_least)
        except images.BrokenImageError as error:
            raise RunError(f"the image of example {index + 1} cannot be decoded: {error}") from error

    def digest(self, index: int) -> bytes:
        return hash_content(self._records[index][self._column])


class _Joined(Sequence[Record]):
    """The records of several splits, one after the other."""

    def __init__(self, parts: Sequence[Sequence[Record]]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: Any) -> Any:
        part = int(np.searchsorted(self._ends, index, side="right"))
        return self._parts[part][int(index) - (int(self._ends[part - 1]) if part else 0)]


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Examples:
    """Read a data set, with its own splits `train`, `validation` and `test` as far as it has them.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.
        progress: Called with the preparation.

    Returns:
        The examples.

    Raises:
        RecipeError: TFDS does not know the name or version, or the data set lacks a feature that the task needs.
        HubError: The data set cannot be fetched.
    """
    builder = _prepare(source.name, progress)
    features = dict(builder.info.features)
    is_image = TASKS[task].inputs == "images"
    if is_image:
        column = _choose_column(source.name, features, "Image", "image", "data.source")
    else:
        column = _choose_column(source.name, features, "Text", spec.text_column, "data.text_column")
    label = None
    if TASKS[task].is_labelled:
        label = _choose_column(source.name, features, "ClassLabel", spec.label_column, "data.label_column")
    roles = {name: folder_layout.find_role(name, strict=True) for name in builder.info.splits}
    names = [name for part in SPLITS for name, role in roles.items() if role == part] or sorted(roles)[:1]
    left = [name for name in roles if name not in names]
    notes = (f"splits left out: {join_names(left)}",) if left else ()
    parts = [_load_records(builder, name, column if is_image else None) for name in names]
    records = _Joined(parts)
    of_split = [next((SPLITS[part] for part in SPLITS if part == roles[name]), TRAIN) for name in names]
    membership = np.repeat(of_split, [len(part) for part in parts]).astype(np.int8)
    given = membership if TRAIN in of_split and len(set(of_split)) > 1 else None
    classes, known = _find_classes(list(features[label].names), spec) if label else ((), [])
    targets = np.zeros(len(records), np.int32)
    texts: list[str] = []
    for index, record in enumerate(records):
        if label:
            targets[index] = known[int(record[label])]
        if not is_image:
            text = record[column]
            texts.append(prepare(text.decode("utf-8") if isinstance(text, bytes) else text))
    if is_image:
        return _Images(records, column, targets, classes, given, notes)
    return Texts(texts, targets, classes, given, notes=notes)


def is_prepared(source: Source) -> bool:
    """Tell whether some version of a data set is on disk, without importing TensorFlow."""
    name, _, version = source.name.partition(":")
    return any((_find_folder() / name).glob(f"{version or '**'}/dataset_info.json"))


def _find_folder() -> Path:
    return Path(os.environ.get("TFDS_DATA_DIR") or user_folders.cache() / "tfds")


def _prepare(name: str, progress: Progress | None) -> Any:
    """Download a data set unless it is on disk, and return its builder."""
    import tensorflow_datasets as tfds

    folder = str(_find_folder())
    try:
        builder = tfds.builder(name, data_dir=folder)
    except (ValueError, AssertionError) as error:  # a name or configuration, or a version, that TFDS does not know
        project = name.partition(":")[0].partition("/")[0]
        prepared = [path.name for path in Path(folder).glob("*/")]
        known = [*tfds.list_builders(with_community_datasets=False), *prepared]
        wrong = f"TensorFlow Datasets has no '{name}'"
        rule = "a data set is NAME, NAME/CONFIG or NAME:VERSION"
        hint = (
            str(error).partition("\n")[0].partition('}": ')[2] if project in known else suggest_nearest(project, known)
        )
        raise RecipeError([Problem("", "data.source", f"{wrong}; {rule}; {hint}")]) from error
    if builder.is_prepared():
        return builder
    if downloads.is_offline():
        raise HubError(
            f"tfds:{name} is not prepared in {folder}; with --offline everything comes from the cache; run once "
            "without --offline to fetch it"
        )
    # TFDS itself tries an unreachable server for over three minutes.
    for address in list(builder.url_infos)[:1]:
        downloads.reach(address, f"tfds:{name}")
    if progress:
        progress(f"preparing tfds:{name}", 0, None)
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # a data set runs code of its own, which needs packages and servers of its own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise HubError(f"tfds:{name} comes from its author's server and could not be prepared: {reason}") from error
    return builder


def _load_records(builder: Any, split: str, encoded: str | None) -> Sequence[Record]:
    """Load the records of a split; the images in feature `encoded` stay as they are stored."""
    import tensorflow_datasets as tfds

    decoders = {encoded: tfds.decode.SkipDecoding()} if encoded else None
    try:
        return cast(Sequence[Record], builder.as_data_source(split, decoders=decoders))
    except NotImplementedError:  # prepared by someone else, in a format that is read from the start only
        return list(tfds.as_numpy(builder.as_dataset(split, decoders=decoders, shuffle_files=False)))


def _choose_column(source: str, features: Mapping[str, Any], kind: str, named: str, key: str) -> str:
    """Choose the feature of a kind: the one that the recipe names, or else the only one there is."""
    fitting = [name for name, feature in features.items() if type(feature).__name__ == kind]
    if named in fitting:
        return named
    if len(fitting) == 1:
        return fitting[0]
    wrong = f"tfds:{source} has no {kind} feature '{named}'"
    rule = f"the task needs a {kind} feature"
    raise RecipeError([Problem("", key, f"{wrong}; {rule}; {suggest_nearest(named, fitting)}")])


def _find_classes(names: list[str], spec: Data) -> tuple[tuple[str, ...], list[int]]:
    """Find the classes in order, and TFDS's number of a class -> its position there."""
    classes = tuple(spec.classes or names)
    known = labels.find_positions(names, classes)
    findings = DataProblems()
    for name in names:
        if name not in known:
            findings.add("", labels.explain_missing_class(name, classes), "data.classes")
    findings.check()
    return classes, [known[name] for name in names]
