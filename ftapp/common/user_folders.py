"""The folders of a user in which ftapp keeps what is not named otherwise: runs, downloads, settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs

from ftapp.common.errors import RunError


def cache() -> Path:
    """The folder of downloads. Raises RunError where the user has no home folder."""
    return _find(platformdirs.user_cache_path, "downloads", "FTAPP_CACHE")


def data() -> Path:
    """The folder that holds that of runs. Raises RunError where the user has no home folder."""
    return _find(platformdirs.user_data_path, "runs", "FTAPP_RUNS")


def settings() -> Path:
    """The folder of the interface's settings. Raises RunError where the user has no home folder."""
    return _find(platformdirs.user_config_path, "settings", "FTAPP_CONFIG")


def _find(folder: Callable[[str], Path], what: str, variable: str) -> Path:
    try:
        return folder("ftapp")
    except RuntimeError as error:
        message = f"there is no home folder to keep {what} in; set HOME, or {variable} to a folder of your choice"
        raise RunError(message) from error
