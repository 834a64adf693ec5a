"""Images in files, or as the bytes of files in a table: checked once, and decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import RunError
from ftapp.common.formatting import escape_unprintable, format_quantity, join_names
from ftapp.data import images
from ftapp.data.examples import Examples
from ftapp.data.hashes import Hashes
from ftapp.data.image_check import CheckedImages
from ftapp.data.image_examination import Content

LEAVE_OUT = "to leave such images out, --set data.skip_broken=true"

_NAMED = 20  # images that are left out


class ImageFiles(Examples):
    """Images uint8 [height, width, 3], each of its own size. Two images are equal when their pixels are.

    Args:
        contents: The files, or their bytes.
        describe: Names the file at a position, for messages.
        checked: What their check found, without problems.
        labels: int32 (files,), positions in `classes`.
        classes: The names of the classes.
        given_split: int8 (files,), TRAIN, VALIDATION or TEST; None when the recipe decides the splits.
        notes: Decisions that were made when the source was read, in sentences.
        groups: int64 (files,), as `Examples` has them.
    """

    decodes = True

    def __init__(
        self,
        contents: Sequence[Content],
        describe: Callable[[int], str],
        checked: CheckedImages,
        labels: NDArray[np.int32],
        classes: tuple[str, ...],
        given_split: NDArray[np.int8] | None = None,
        notes: tuple[str, ...] = (),
        groups: NDArray[np.int64] | None = None,
    ) -> None:
        self._contents, self._describe, self._checked = contents, describe, checked
        self.labels = labels
        self.classes = classes
        self.given_split = given_split
        self.notes = notes
        self.groups = groups

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.read_image(index)

    def read_image(self, index: int, at_least: int | None = None) -> NDArray[np.uint8]:
        """Decode an image."""
        content = self._contents[index]
        try:
            if isinstance(content, Path):
                return images.read(content, at_least)
            return images.decode(content, at_least)
        except images.BrokenImageError as error:
            name = escape_unprintable(str(content)) if isinstance(content, Path) else self.locate(index)
            raise RunError(f"the image {name} was readable when it was checked, but cannot be read: {error}") from error

    def locate(self, index: int) -> str:
        """Name the image, such as by its folder and file."""
        return self._describe(index)

    def find_file(self, index: int) -> Path | None:
        """Find the file of the image; None where its bytes are in a table."""
        content = self._contents[index]
        return content if isinstance(content, Path) else None

    def digest(self, index: int) -> bytes:
        """Hash the bytes of the file."""
        return bytes(self._checked.digests[index])

    def identify_all(self) -> Hashes:
        """Compute hashes that images with equal pixels share."""
        return self._checked.pixels


def describe_broken(checked: CheckedImages, describe: Callable[[int], str]) -> str:
    """Describe the images that are left out since they cannot be decoded, in a sentence.

    Args:
        checked: What the check found.
        describe: Names the file at a position.
    """
    names = sorted(map(describe, checked.problems))
    return f"{format_quantity(len(names), 'image')} left out that cannot be decoded: {join_names(names, _NAMED)}"
