"""The trash: deleted runs and experiments, until they are restored or removed for good.

`.trash` in the folder of all runs is laid out as that folder, with experiments under `experiments/`. A deleted folder
keeps its name, and the time of its deletion is the time at which it was last modified. After `DAYS` days it is removed
for good, when the interface lists the runs.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ftapp.common.errors import Problem, RecipeError, RunError, suggest_nearest
from ftapp.common.safe_files import explain_error
from ftapp.experiments.experiment_folder import FOLDER, Experiment
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_lookup import match_name

DAYS = 7
_NAME = ".trash"


@dataclass(frozen=True)
class Deleted:
    """A run or an experiment in the trash.

    Attributes:
        folder: Its folder in the trash.
        place: The folder where it was.
        time: The time of its deletion, in seconds since the Unix epoch.
    """

    folder: Path
    place: Path
    time: float

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return measure_size(self.folder)


def measure_size(folder: Path) -> int:
    """Count the bytes of all files in a folder and in the folders inside."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(parent) / name).lstat().st_size
    return total


def delete_run(run: RunFolder) -> Deleted:
    """Move a run's folder into the trash.

    Args:
        run: The run.

    Returns:
        The deleted run.

    Raises:
        RunError: The run has not ended.
        OSError: The folder cannot be moved.
    """
    if run.alive():
        raise RunError(f"{run.folder.name} is running; a run can be deleted when it has ended: stop it first")
    return _move(run.folder, run.folder.parent, Path(run.folder.name))


def delete_experiment(experiment: Experiment, *, with_runs: bool) -> list[Deleted]:
    """Move an experiment's folder into the trash; where one folder cannot be moved, none is.

    Args:
        experiment: The experiment.
        with_runs: Whether its runs are moved too.

    Returns:
        The deleted runs and the deleted experiment.

    Raises:
        RunError: The experiment or one of these runs has not ended.
        OSError: A folder cannot be moved.
    """
    members = experiment.list_members() if with_runs else []
    if experiment.alive() or any(member.run.alive() for member in members):
        raise RunError(
            f"{experiment.folder.name} is running; an experiment can be deleted when it has ended: stop it first"
        )
    folder = experiment.folder
    moved: list[Deleted] = []
    try:
        moved += (delete_run(member.run) for member in members)
        moved.append(_move(folder, folder.parent.parent, Path(FOLDER) / folder.name))
    except (OSError, RunError):
        for deleted in moved:
            restore(deleted)
        raise
    return moved


def _move(folder: Path, runs_dir: Path, name: Path) -> Deleted:
    target = runs_dir / _NAME / name
    target.parent.mkdir(parents=True, exist_ok=True)
    now = time.time_ns()  # finer than the clock of the file system, by which two folders were deleted at once
    # Before the move, so that no other process takes it for one deleted long ago.
    os.utime(folder, ns=(now, now), follow_symlinks=False)
    with suppress(FileNotFoundError):
        _remove(target)
    _rename(folder, target)
    return Deleted(target, folder, time.time())


def _rename(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.move(folder, target)  # a copy: before Linux 5.19, no student's process moves between folders


def restore(deleted: Deleted) -> None:
    """Move a deleted run or experiment back to its place.

    Args:
        deleted: The run or experiment.

    Raises:
        RunError: Its place is taken, or it cannot be moved.
    """
    if deleted.place.exists():
        raise RunError(f"{deleted.place} exists; {deleted.folder} can be restored when its place is free")
    try:
        deleted.place.parent.mkdir(parents=True, exist_ok=True)
        _rename(deleted.folder, deleted.place)
    except FileNotFoundError:
        raise RunError(f"{deleted.place.name} is no longer in the trash") from None
    except OSError as error:
        raise RunError(f"{deleted.place.name} cannot be restored: {explain_error(error)}") from None


def list_deleted(runs_dir: Path) -> list[Deleted]:
    """List the deleted runs and experiments, the last deleted first.

    Args:
        runs_dir: The folder of all runs.

    Returns:
        What lies in its trash.
    """
    found = [*_list_folders(runs_dir, Path()), *_list_folders(runs_dir, Path(FOLDER))]
    return sorted(found, key=lambda deleted: deleted.time, reverse=True)


def _list_folders(runs_dir: Path, part: Path) -> Iterator[Deleted]:
    with suppress(OSError), os.scandir(runs_dir / _NAME / part) as entries:
        for entry in entries:
            if entry.name != FOLDER or part.name:
                with suppress(OSError):
                    yield Deleted(
                        Path(entry.path),
                        (runs_dir / part / entry.name).absolute(),
                        entry.stat(follow_symlinks=False).st_mtime,
                    )


def find(name: str, runs_dir: Path) -> Deleted:
    """Find a deleted run or experiment.

    Args:
        name: What `ftapp.runs.run_lookup.match_name` takes; `last` is the one deleted last.
        runs_dir: The folder of all runs.

    Returns:
        The run or experiment.

    Raises:
        RecipeError: There is none, or more than one; the error names the nearest.
    """
    found = list_deleted(runs_dir)
    named = match_name(name, found)
    if len(named) == 1:
        return named[0]
    names = [each.folder.name for each in found]
    message = (
        f"'{name}' is the beginning of {len(named)} deleted runs, such as '{named[0].folder.name}'"
        if named
        else (f"there is no deleted run '{name}'; {suggest_nearest(name, names)}")
    )
    raise RecipeError([Problem("", "", message)])


def empty(runs_dir: Path, *, days: float = 0.0, failed: Callable[[Path, OSError], None] | None = None) -> int:
    """Remove deleted runs and experiments for good.

    Args:
        runs_dir: The folder of all runs.
        days: How many days ago they were deleted at least.
        failed: Called with each folder that cannot be removed, and the reason.

    Returns:
        The number of removed folders.
    """
    limit = time.time() - days * 86400
    removed = 0
    for deleted in list_deleted(runs_dir):
        if deleted.time <= limit:
            try:
                _remove(deleted.folder)
                removed += 1
            except OSError as error:
                if failed:
                    failed(deleted.folder, error)
    return removed


def _remove(folder: Path) -> None:
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    else:
        shutil.rmtree(folder)
