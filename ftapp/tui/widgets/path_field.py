"""A line for the path of a file or a folder, which completes names."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textual.suggester import Suggester

from ftapp.common.local_files import expand_home, is_debris
from ftapp.tui.widgets.text_line import TextLine

_MOST = 5000  # names of a folder that are looked at


class PathField(TextLine):
    """A path. The rest of the first name that fits is shown behind the cursor; the right arrow takes it."""

    def __init__(self, value: str = "", **options: Any) -> None:
        super().__init__(value, is_path=True, suggester=_Names(), **options)

    @property
    def path(self) -> Path | None:
        """The path; None where there is no text. A ~ that is no home folder stays as it is."""
        text = self.value.strip()
        return expand_home(text) if text else None


class _Names(Suggester):
    """Suggests the names of files and folders that begin as the path does."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(complete_path, value)


def complete_path(value: str) -> str | None:
    """Complete a path to the first name that fits, in order.

    Args:
        value: The path as far as it is typed, perhaps with ~.

    Returns:
        The path with the whole name, and a slash behind a folder; None where nothing fits.
    """
    folder, typed = os.path.split(value)
    if not typed:
        return None
    names = sorted(name for name in _list_names(folder) if name.startswith(typed))
    names = [name for name in names if typed.startswith(".") or not is_debris(name)]
    if not names:
        return None
    found = os.path.join(folder, names[0])  # noqa: PTH118 - a Path would drop ./
    return f"{found}/" if expand_home(found).is_dir() else found


def _list_names(folder: str) -> Iterator[str]:
    try:
        with os.scandir(Path(folder or ".").expanduser()) as entries:
            for _, entry in zip(range(_MOST), entries, strict=False):
                yield entry.name
    except (OSError, RuntimeError, ValueError):  # it is not there, or ~ has no home
        return
