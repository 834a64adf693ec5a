"""Many files by their paths: some 25 bytes each where a `Path` takes 500."""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

from ftapp.common.formatting import escape_unprintable

_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


class FileList(Sequence[Path]):
    """Files in a fixed order. Names lie in one piece of memory, and each folder is there once."""

    def __init__(self) -> None:
        self._folders: list[str] = []
        self._numbers: dict[str, int] = {}  # of folders
        self._folder_of = array("i")
        self._names = bytearray()
        self._ends = array("q", [0])

    def append(self, folder: str, name: str) -> None:
        """Add a file.

        Args:
            folder: The path of its folder.
            name: Its name.
        """
        number = self._numbers.get(folder)
        self._folder_of.append(self._number(folder) if number is None else number)
        self._names += name.encode(_ENCODING, _ERRORS)
        self._ends.append(len(self._names))

    def extend(self, other: FileList) -> None:
        """Add the files of another list."""
        numbers, begin = [self._number(folder) for folder in other._folders], len(self._names)
        self._folder_of.extend(numbers[each] for each in other._folder_of)
        self._names += other._names
        self._ends.extend(begin + end for end in other._ends[1:])

    def _number(self, folder: str) -> int:
        number = self._numbers.setdefault(folder, len(self._folders))
        if number == len(self._folders):
            self._folders.append(folder)
        return number

    def __len__(self) -> int:
        return len(self._folder_of)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> list[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | list[Path]:
        places = range(len(self))[index]
        return Path(self.get_text(places)) if isinstance(places, int) else [self[place] for place in places]

    def get_text(self, index: int) -> str:
        """Return the path of a file as text."""
        return f"{self._folders[self._folder_of[index]]}/{self._get_name(index)}"

    def describe(self, index: int) -> str:
        """Name a file for messages, by its folder and its own name."""
        folder = os.path.basename(self._folders[self._folder_of[index]])  # noqa: PTH119 - paths would take longer
        return escape_unprintable(f"{folder}/{self._get_name(index)}")

    def find_root(self) -> str:
        """Find the folder that all files lie in, directly or deeper."""
        return os.path.commonpath(self._folders)

    def select(self, positions: Iterable[int]) -> FileList:
        """Return some of the files as a list of its own."""
        found = FileList()
        for index in positions:
            found.append(self._folders[self._folder_of[index]], self._get_name(index))
        return found

    def _get_name(self, index: int) -> str:
        return self._names[self._ends[index] : self._ends[index + 1]].decode(_ENCODING, _ERRORS)
