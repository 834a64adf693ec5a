"""Images in files, or as the bytes of files in a table: checked once, and decoded when they are asked for."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.common.formatting import escape_unprintable, format_quantity, join_names
from ftapp.data import images
from ftapp.data.examples import Examples, hash_content

LEAVE_OUT = "to leave such images out, --set data.skip_broken=true"

_NAMED = 20  # images that are left out


@dataclass(frozen=True)
class ImageFile:
    """An image file that was checked.

    Attributes:
        content: The file, or its bytes.
        name: Its name in messages.
        digest: A hash of its bytes.
        pixels: A hash of its image.
        problem: Why it cannot be decoded; "" if it can.
    """

    content: Path | bytes
    name: str
    digest: bytes = b""
    pixels: bytes = b""
    problem: str = ""


class ImageFiles(Examples):
    """Images uint8 [height, width, 3], each of its own size. Two images are equal when their pixels are.

    Attributes:
        files: The files.

    Args:
        files: The files.
        labels: int32 (files,), positions in `classes`.
        classes: The names of the classes.
        given_split: int8 (files,), TRAIN, VALIDATION or TEST; None when the recipe decides the splits.
        notes: Decisions that were made when the source was read, in sentences.
        groups: int64 (files,), as `Examples` has them.
    """

    decodes = True

    def __init__(
        self,
        files: Sequence[ImageFile],
        labels: NDArray[np.int32],
        classes: tuple[str, ...],
        given_split: NDArray[np.int8] | None = None,
        notes: tuple[str, ...] = (),
        groups: NDArray[np.int64] | None = None,
    ) -> None:
        self.files = files
        self.labels = labels
        self.classes = classes
        self.given_split = given_split
        self.notes = notes
        self.groups = groups

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.read_image(index)

    def read_image(self, index: int, at_least: int | None = None) -> NDArray[np.uint8]:
        """Decode an image."""
        content = self.files[index].content
        try:
            return _decode(content, at_least)
        except images.BrokenImageError as error:
            name = escape_unprintable(str(content)) if isinstance(content, Path) else self.locate(index)
            raise RunError(f"the image {name} was readable when it was checked, but cannot be read: {error}") from error

    def locate(self, index: int) -> str:
        """Name the image, such as by its folder and file."""
        return self.files[index].name

    def find_file(self, index: int) -> Path | None:
        """Find the file of the image; None where its bytes are in a table."""
        content = self.files[index].content
        return content if isinstance(content, Path) else None

    def digest(self, index: int) -> bytes:
        """Hash the bytes of the file."""
        return self.files[index].digest

    def identify(self, index: int) -> bytes:
        """Compute a hash that images with equal pixels share."""
        return self.files[index].pixels


def check(files: Sequence[ImageFile], progress: Progress | None = None) -> list[ImageFile]:
    """Decode each file as in training, but reduced, and hash it.

    PIL decodes outside of the interpreter lock: about 500 photographs of 0.1 MB a second and core.

    Args:
        files: The files, by content and name; those with a problem stay as they are.
        progress: Called with the images checked and in all.

    Returns:
        The files with their hashes; those that cannot be decoded with a problem.
    """
    if not files:
        return []
    reported = 0.0
    checked: list[ImageFile] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file in pool.map(_examine, files):
            checked.append(file)
            if progress and (time.monotonic() - reported > 0.1 or len(checked) == len(files)):
                reported = time.monotonic()
                progress("checking images", len(checked), len(files))
    return _tell_apart(checked)


def describe_broken(files: Sequence[ImageFile]) -> str:
    """Describe the images that are left out since they cannot be decoded, in a sentence."""
    names = sorted(file.name for file in files if file.problem)
    return f"{format_quantity(len(names), 'image')} left out that cannot be decoded: {join_names(names, _NAMED)}"


def _examine(file: ImageFile) -> ImageFile:
    """Hash an image file, or say what is wrong with it."""
    if file.problem:
        return file
    try:
        content = file.content if isinstance(file.content, bytes) else images.read_content(file.content)
        pixels = images.decode(content, at_least=1)
    except images.BrokenImageError as error:
        return replace(file, problem=str(error))
    return replace(file, digest=hash_content(content), pixels=_hash_pixels(pixels))


def _tell_apart(files: list[ImageFile]) -> list[ImageFile]:
    """Hash all pixels of files that have equal reduced images and different bytes."""
    contents: dict[bytes, set[bytes]] = {}
    for file in files:
        contents.setdefault(file.pixels, set()).add(file.digest)
    whole: dict[bytes, bytes] = {}
    problems: dict[bytes, str] = {}
    for file in files:
        if len(contents[file.pixels]) > 1 and file.digest and file.digest not in whole:
            try:
                whole[file.digest] = _hash_pixels(_decode(file.content))
            except images.BrokenImageError as error:
                problems[file.digest] = str(error)
    return [
        replace(file, pixels=whole.get(file.digest, file.pixels), problem=problems.get(file.digest, file.problem))
        for file in files
    ]


def _decode(content: Path | bytes, at_least: int | None = None) -> NDArray[np.uint8]:
    return images.read(content, at_least) if isinstance(content, Path) else images.decode(content, at_least)


def _hash_pixels(pixels: NDArray[np.uint8]) -> bytes:
    return hash_content(repr(pixels.shape).encode() + pixels.tobytes())
