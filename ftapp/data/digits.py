"""`sklearn:digits`: 1,797 handwritten digits of 8x8 pixels that come with scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ftapp.common.downloads import Progress
from ftapp.data import labels
from ftapp.data.examples import DataProblems, Examples, hash_content
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
        from sklearn.datasets import load_digits

        data = load_digits()
        names = [str(digit) for digit in range(10)]
        self.classes = tuple(order or names)
        known = labels.find_positions(names, self.classes)
        findings = DataProblems()
        for name in names:
            if name not in known:
                findings.add("", labels.explain_missing_class(name, self.classes), key="data.classes")
        findings.check()
        self.labels = np.array([known[names[target]] for target in data.target], np.int32)
        # Ink is 0 to 16. An image takes 192 bytes, all of them 0.3 MB, so they stay in memory.
        grey = np.rint(data.images * (255 / 16)).astype(np.uint8)
        self._images: NDArray[np.uint8] = np.repeat(grey[..., None], 3, axis=-1)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.asarray(self._images[index])

    def digest(self, index: int) -> bytes:
        """Hash the image."""
        return hash_content(self._images[index].tobytes())


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
