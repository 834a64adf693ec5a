"""The event log of a run that goes on: cut where the checkpoint's events end, and put back where that fails.

The log is replaced by a new file, so that whoever follows it notices (`ftapp.common.tail_reader`). The old one is kept
beside it until the run trains again: until then nothing is lost, whatever happens.
"""

from __future__ import annotations

from contextlib import suppress

from ftapp.common.durable import remove_leftovers, replace_file
from ftapp.runs.run_folder import RunFolder


def rewind_log(run: RunFolder, offset: int) -> None:
    """Cut the log of a run, and keep the old one.

    Args:
        run: The run, whose process has ended and whose log is whole (`restore_log`).
        offset: The bytes to keep.

    Raises:
        OSError: The folder cannot be written.
    """
    remove_leftovers(run.folder, run.events_file.name)
    with run.events_file.open("rb") as file:
        kept = file.read(offset)
    run.events_file.rename(run.former_events_file)
    _forget_status(run)
    replace_file(run.events_file, kept)


def restore_log(run: RunFolder) -> None:
    """Put the log back that `rewind_log` has cut, if `drop_former_log` was not called since.

    Raises:
        OSError: The folder cannot be written.
    """
    with suppress(FileNotFoundError):
        run.former_events_file.replace(run.events_file)
        _forget_status(run)


def drop_former_log(run: RunFolder) -> None:
    """Remove what `rewind_log` has kept: the run trains again."""
    with suppress(OSError):
        run.former_events_file.unlink()


def _forget_status(run: RunFolder) -> None:
    """Remove the file that tells how the run stood; without it, lists read the log."""
    run.status_file.unlink(missing_ok=True)
