"""The folders of a user in which ftapp keeps what is not named otherwise: runs, downloads, settings.

Each is named by a variable of the environment, and otherwise lies where the platform has such folders. None need exist.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ftapp.common.errors import RunError

if TYPE_CHECKING:
    from platformdirs import PlatformDirs


def cache() -> Path:
    """The folder of downloads: FTAPP_CACHE, or the user's cache folder.

    Raises:
        RunError: The user has no home folder.
    """
    return _find("FTAPP_CACHE", "downloads", lambda usual: usual.user_cache_path)


def runs(chosen: Path | None = None) -> Path:
    """The folder of runs: `chosen`, else FTAPP_RUNS, else one in the user's data folder.

    Raises:
        RunError: The user has no home folder.
    """
    return chosen or _find("FTAPP_RUNS", "runs", lambda usual: usual.user_data_path / "runs")


def settings() -> Path:
    """The folder of the interface's settings: FTAPP_CONFIG, or the user's configuration folder.

    Raises:
        RunError: The user has no home folder.
    """
    return _find("FTAPP_CONFIG", "settings", lambda usual: usual.user_config_path)


def _find(variable: str, content: str, choose: Callable[[PlatformDirs], Path]) -> Path:
    """The folder that a variable names, else the one to choose of the platform's. content: what is kept there."""
    try:
        if given := os.environ.get(variable):
            return Path(given).expanduser().absolute()
        from platformdirs import PlatformDirs  # here, since it is not needed where the variables are set

        return choose(PlatformDirs("ftapp"))
    except RuntimeError as error:
        message = f"there is no home folder to keep {content} in; set HOME, or {variable} to a folder of your choice"
        raise RunError(message) from error
