"""What encoded examples have in common that come from a subset of a source, an example each."""

from __future__ import annotations

from pathlib import Path

from ftapp.data.examples import Subset


class OfSubset:
    """What the examples of a subset are called in their source."""

    _subset: Subset

    def locate(self, index: int) -> str:
        """Name the place of an example in its source."""
        return self._subset.locate(index)

    def find_file(self, index: int) -> Path | None:
        """Return the file that an example has for itself; None where it has none."""
        return self._subset.find_file(index)

    def digest(self, index: int) -> bytes:
        """Hash an example as it is in its source."""
        return self._subset.digest(index)
