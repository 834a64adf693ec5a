"""The process that tracks a run: when it is started, and how others wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ftapp.common.locks import is_locked
from ftapp.recipe import Recipe
from ftapp.recipe.user_settings import load_settings
from ftapp.runs.launcher import LocalLauncher
from ftapp.runs.run_folder import RunFolder

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class TrackJob:
    """The process that tracks the run of a folder. It ends after the run, once everything is sent."""

    folder: Path
    worker = "ftapp.workers.track"

    @property
    def lock_file(self) -> Path:
        """The file that is locked while the process lives."""
        return self.folder / "track.lock"

    @property
    def log_file(self) -> Path:
        """The file that takes what the process and the clients of trackers print."""
        return self.folder / "track.log"


def start_tracking(run: RunFolder, recipe: Recipe) -> None:
    """Start the process that tracks a run, if its recipe or the user's settings name a tracker or a notification.

    Args:
        run: The run.
        recipe: Its recipe.

    Raises:
        OSError: The process cannot be started.
        RecipeError: The settings of the user are wrong.
        RunError: The run is tracked already.
    """
    settings = load_settings()
    if recipe.track.fill(settings.track).list_used() or settings.notify.webhook or settings.notify.desktop:
        LocalLauncher().start(TrackJob(run.folder), {})


def wait_for_tracking(run: RunFolder, is_waited_for: Callable[[], bool]) -> bool:
    """Wait until everything of a run that has ended is sent.

    Args:
        run: The run.
        is_waited_for: Called now and then meanwhile: whether to wait on.

    Returns:
        Whether no process tracks the run any more.
    """
    job = TrackJob(run.folder)
    while is_locked(job.lock_file):
        if not is_waited_for():
            return False
        time.sleep(_POLL_SECONDS)
    return True
