"""`folder:PATH`: a folder of images with one sub-folder a class.

The sub-folders may also be `train` and `test`, and `validation` or `val`, each with one sub-folder a class: the splits
are then taken as they are. Images are decoded when they are asked for; only their paths and hashes stay in memory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftapp.data import images, labels
from ftapp.data.examples import TEST, TRAIN, VALIDATION, Examples, Findings, content_hash
from ftapp.errors import nearest
from ftapp.fetch import Progress
from ftapp.recipe import Data
from ftapp.sources import Source

_SPLITS = {"train": TRAIN, "test": TEST, "validation": VALIDATION, "val": VALIDATION}
_DEBRIS = {"thumbs.db", "desktop.ini", "__macosx"}  # what file managers and archivers leave; names with a dot as well


class Folder(Examples):
    """Images uint8 [height, width, 3], each of its own size. Two images are equal when their files are."""

    def __init__(
        self,
        paths: list[Path],
        digests: list[bytes],
        labels: NDArray[np.int32],
        classes: tuple[str, ...],
        given_split: NDArray[np.int8] | None,
    ) -> None:
        self.paths = paths
        self._digests = digests
        self.labels = labels
        self.classes = classes
        self.given_split = given_split

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return images.rgb(self.paths[index].read_bytes())

    def digest(self, index: int) -> bytes:
        return self._digests[index]


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Folder:
    """The images of a folder, each decoded once to see that it can be.

    Raises RecipeError, naming files, for images that are corrupt or truncated, for files that are no images, for empty
    class folders, for classes that `data.classes` or a split lacks, and for fewer than two classes.
    """
    root = Path(source.name).expanduser().absolute()
    findings = Findings()
    if not root.is_dir():
        findings.add(root, "images are in a folder; there is none of this name")
        findings.check()
    split_folders = _split_folders(root)
    classes = _classes(root, split_folders, spec, findings)
    findings.check()
    paths: list[Path] = []
    targets: list[int] = []
    membership: list[int] = []
    for folder, part in split_folders.items():
        for position, name in enumerate(classes):
            found = list(_files(folder / name, findings))
            if not found and not findings.found:
                findings.add(folder / name, "a class has images; this folder has none")
            paths += found
            targets += [position] * len(found)
            membership += [part] * len(found)
    digests = _checked(paths, findings, progress)
    findings.check()
    given = np.array(membership, np.int8) if len(split_folders) > 1 else None
    return Folder(paths, digests, np.array(targets, np.int32), classes, given)


def _split_folders(root: Path) -> dict[Path, int]:
    """Folder that holds class folders -> its split: the root alone, or its sub-folders named after splits."""
    names = {path.name for path in _visible(root) if path.is_dir()}
    if {"train", "test"} <= names <= set(_SPLITS):
        return {root / name: _SPLITS[name] for name in sorted(names)}
    return {root: TRAIN}


def _classes(root: Path, split_folders: dict[Path, int], spec: Data, findings: Findings) -> tuple[str, ...]:
    """The names of the classes, in order; findings when splits or the recipe disagree on them."""
    found = {folder: {path.name for path in _visible(folder) if path.is_dir()} for folder in split_folders}
    names = set().union(*found.values())
    for folder in split_folders:
        for path in _visible(folder):
            if path.is_file() and path.suffix.lower() in images.SUFFIXES:
                findings.add(path, f"an image is in the sub-folder of its class; this one is in {folder.name}")
        for name in sorted(names - found[folder]):
            findings.add(folder, f"each split has every class, and '{name}' is missing; {nearest(name, found[folder])}")
    for name in sorted(names - set(spec.classes or names)):
        message = f"a sub-folder is one of data.classes; got '{name}'; {nearest(name, spec.classes or ())}"
        findings.add(root / name, message)
    for name in spec.classes or ():
        if name not in names:
            findings.add(root, f"each of data.classes has a sub-folder, and '{name}' has none; {nearest(name, names)}")
    if len(names) < 2 and not findings.found:
        got = f"one, '{min(names)}'" if names else "none"
        findings.add(root, f"a folder of images has a sub-folder for each class, at least two; got {got}")
    return tuple(spec.classes) if spec.classes else labels.in_order(names)


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in _DEBRIS)


def _files(folder: Path, findings: Findings) -> Iterator[Path]:
    """The image files of a class, also those in folders below. Other files are findings."""
    for path in sorted(_visible(folder)):
        if path.is_dir():
            yield from _files(path, findings)
        elif path.suffix.lower() in images.SUFFIXES:
            yield path
        else:
            findings.add(path, "the folder of a class holds images (JPEG, PNG, WebP, BMP, GIF) alone; this is none")


def _checked(paths: list[Path], findings: Findings, progress: Progress | None) -> list[bytes]:
    """The digest of each file, "" and a finding where the file is no image that can be decoded.

    PIL decodes outside of the interpreter lock: about 500 photographs of 0.1 MB a second and core.
    """
    if not paths:
        return []
    done, total, told = 0, sum(path.stat().st_size for path in paths), 0.0
    digests: list[bytes] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (digest, size, problem) in zip(paths, pool.map(_examined, paths), strict=True):
            digests.append(digest)
            done += size
            if problem:
                findings.add(path, problem)
            if progress and (time.monotonic() - told > 0.1 or len(digests) == len(paths)):
                told = time.monotonic()
                progress("checking images", done, total)
    return digests


def _examined(path: Path) -> tuple[bytes, int, str]:
    """Digest, size in bytes and what is wrong with an image file, if anything."""
    content = b""
    try:
        content = path.read_bytes()
        images.check(content)
    except images.BROKEN as error:
        reason = str(error).partition(" <_io")[0].removesuffix(" file") if content else "it is empty"
        return b"", len(content), f"an image can be decoded to its end; {reason}"
    return content_hash(content), len(content), ""
