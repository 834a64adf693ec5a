"""The settings of a user that hold for all runs: trackers, notifications and targets, in the file settings.toml.

The interface keeps what it remembers by itself in another file, `interface.json`, which nobody needs to edit.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from ftapp.common import user_folders
from ftapp.common.errors import Problem, RecipeError
from ftapp.common.safe_files import UNREADABLE, explain_error, read_text
from ftapp.recipe.section import Section
from ftapp.recipe.track_schema import Track
from ftapp.recipe.validation import check_tables


def _check_address(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("this is no address of a webhook; it begins with https:// or http:// and names a server")
    return address


class Notify(Section):
    """How the user is told that a run has ended."""

    bell: bool = False
    """Whether the terminal of `ftapp run` and of the interface rings."""
    desktop: bool = False
    """Whether the desktop shows a notification. There is none over SSH."""
    webhook: Annotated[str, Field(max_length=2048), AfterValidator(_check_address)] | None = None
    """The address that receives the end of the run as JSON, with the sentence in `text`, as Slack and Mattermost take
    it."""
    after: Annotated[float, Field(ge=0, le=1e7)] = 0.0
    """Runs that took fewer seconds than this are not told."""


class Launch(Section):
    """Where runs go."""

    on: Annotated[str, Field(max_length=1024)] | None = None
    """The target of runs for which `--on` is not given; this machine where it is missing."""
    targets: dict[str, Annotated[str, Field(max_length=1024)]] = Field(default_factory=dict)
    """Names that `--on` takes in place of targets, such as big = "slurm:gpu?time=8h&gpus=4"."""


class UserSettings(Section):
    """The settings of a user."""

    launch: Launch = Launch()
    """Where runs go."""

    track: Track = Track()
    """Trackers of all runs whose recipe does not say otherwise."""
    notify: Notify = Notify()
    """Notifications at the end of runs."""


def find_settings_file() -> Path:
    """Return the path of the settings. The file need not exist.

    Raises:
        RunError: The user has no home folder.
    """
    return user_folders.settings() / "settings.toml"


def load_settings() -> UserSettings:
    """Load the settings of this user; the default ones where there is no file.

    Raises:
        RecipeError: The file cannot be read, or has wrong values.
        RunError: The user has no home folder.
    """
    file = find_settings_file()
    try:
        tables = tomllib.loads(read_text(file))
    except FileNotFoundError:
        return UserSettings()
    except (OSError, *UNREADABLE) as error:
        raise RecipeError([Problem(str(file), "", f"it cannot be read: {explain_error(error)}")]) from error
    return check_tables(tables, UserSettings, str(file))
