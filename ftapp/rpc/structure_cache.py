"""The structures of models on disk, so that a model that was looked at once is shown again without Keras.

A structure lies under a hash of all that it follows from: [model], the task, versions, the fields of a structure, the
configuration of a local preset, and for classifiers the facts that decide the number of their classes.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from ftapp.common import cache_files, local_files, safe_files, user_folders
from ftapp.common.local_files import IMAGES, TEXTS
from ftapp.recipe import TASKS, Recipe, folder_layout, presets, sources
from ftapp.recipe.structure import Layer, Structure

_PACKAGES = ("ftapp", "keras", "keras-hub")


def load(recipe: Recipe) -> Structure | None:
    """Return the structure that is kept for a recipe's model; None when there is none."""
    kept = cache_files.load(_find_file(recipe))
    try:
        return msgspec.json.decode(kept, type=Structure) if kept else None
    except safe_files.UNREADABLE:  # it was kept in another form, by a development version
        return None


def keep(recipe: Recipe, structure: Structure) -> None:
    """Keep a structure, unless its number of classes was assumed. A cache that cannot be written is no error."""
    if structure.classes is None and TASKS[recipe.task].has_classes:
        return
    cache_files.keep(_find_file(recipe), msgspec.json.encode(structure))


def identify_data(recipe: Recipe) -> Any:
    """Identify the state of a recipe's data.

    Args:
        recipe: The recipe.

    Returns:
        Its keys about data, and of local files sizes and times.
    """
    source = sources.parse(recipe.data.source)
    stats: list[Any] = []
    files = source.list_files()
    if source.scheme == "folder" and not files:
        path = Path(source.name).expanduser()
        files = [path, *_list_folders(recipe)]
    for each in files:
        with suppress(OSError):
            stat = each.stat()
            stats.append((str(each), stat.st_size, stat.st_mtime_ns))
    return [recipe.task, recipe.data.model_dump(), stats]


def _find_file(recipe: Recipe) -> Path:
    facts: list[Any] = [recipe.task, recipe.model.model_dump(), [metadata.version(name) for name in _PACKAGES]]
    facts.append(Layer.__struct_fields__)
    if folder := presets.find_local_folder(recipe.model.preset):
        facts += [(file.name, file.read_bytes()) for file in sorted(folder.glob("*.json"))]
    if TASKS[recipe.task].has_classes:
        facts.append(_identify_classes(recipe))
    key = hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
    return user_folders.cache() / "structures" / f"{key}.kept"


def _identify_classes(recipe: Recipe) -> Any:
    """Return the facts that decide the number of classes."""
    source = sources.parse(recipe.data.source)
    if source.scheme == "folder" and not sources.is_archive(Path(source.name)):
        return [str(path) for path in _list_folders(recipe)]
    keys = recipe.data.model_dump(
        include={
            *("source", "classes", "label_column", "label_columns", "label_separator"),
            *("merge_labels", "skip_incomplete", "encoding"),
        }
    )
    return [keys, identify_data(recipe)[-1]]


def _list_folders(recipe: Recipe) -> list[Path]:
    """Return the folders of a folder of classes that are splits, and those of its classes.

    These are not looked into, since they may hold very many files.
    """
    root = Path(sources.parse(recipe.data.source).name).expanduser()
    kind = IMAGES if TASKS[recipe.task].inputs == "images" else TEXTS
    try:
        parts = folder_layout.find(root, recipe.data.split_folders, kind).parts
        return [*parts, *(folder for part in parts for folder in local_files.list_folders(part))]
    except (OSError, folder_layout.LayoutError):
        return []
