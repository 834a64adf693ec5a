"""`sklearn:digits`: 1,797 handwritten digits of 8x8 pixels that come with scikit-learn."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftapp.common.downloads import Progress
from ftapp.data import labels
from ftapp.data.examples import DataProblems, Examples
from ftapp.data.hashes import hash_content
from ftapp.recipe import Data
from ftapp.recipe.sources import Source


class Digits(Examples):
    """Images uint8 [8, 8, 3], grey, white on black.

    Args:
        order: The recipe's `data.classes`, ten of them; None for "0" to "9".

    Raises:
        RecipeError: A class is missing in `order`.
    """

    def __init__(self, order: list[str] | None = None) -> None:
        images, targets = _read_file()
        names = [str(digit) for digit in range(10)]
        self.classes = tuple(order or names)
        known = labels.find_positions(names, self.classes)
        findings = DataProblems()
        for name in names:
            if name not in known:
                findings.add("", labels.explain_missing_class(name, self.classes), key="data.classes")
        findings.check()
        self.labels = np.array([known[names[target]] for target in targets], np.int32)
        # Ink is 0 to 16. An image takes 192 bytes, all of them 0.3 MB, so they stay in memory.
        grey = np.rint(images * (255 / 16)).astype(np.uint8)
        self._images: NDArray[np.uint8] = np.repeat(grey[..., None], 3, axis=-1)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.asarray(self._images[index])

    def digest(self, index: int) -> bytes:
        """Hash the image."""
        return hash_content(self._images[index].tobytes())


def _read_file() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read images, uint8 (1797, 8, 8), 0 to 16, and the digits that they show, uint8 (1797,)."""
    package = importlib.util.find_spec("sklearn")  # whose import takes a second
    assert package is not None, "ftapp depends on scikit-learn"
    assert package.origin is not None
    with gzip.open(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, np.uint8, delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1]


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Digits:
    """Read the digits.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.
        progress: Not called.

    Returns:
        The digits.

    Raises:
        RecipeError: `data.classes` leaves one out.
    """
    return Digits(spec.classes)
