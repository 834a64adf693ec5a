"""Deleting runs and experiments, restoring them, and emptying the trash."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftapp.common.errors import RunError
from ftapp.common.formatting import format_quantity, format_size
from ftapp.experiments import trash
from ftapp.experiments.trash import Deleted
from ftapp.tui.actions.target import Target
from ftapp.tui.dialogs.dialog import Dialog

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp

_UNDONE = f"u in Runs restores deleted runs. After {trash.DAYS} days they are removed for good."
_MOST_NAMES = 8


async def delete(app: FtApp, chosen: Sequence[Target]) -> None:
    """Ask, and move runs and experiments into the trash. Called by a worker of the app.

    Args:
        app: Asks, keeps what was deleted, and tells its screens.
        chosen: Runs and experiments that are not running.
    """
    experiments = [target.experiment for target in chosen if target.experiment]
    answer = await app.push_screen_wait(_ask_for_experiments(chosen) if experiments else _ask(chosen))
    if answer not in ("Delete", "Delete all", "Keep the runs"):
        return
    deleted: list[Deleted] = []
    for target in chosen:
        try:
            deleted += await asyncio.to_thread(_delete, target, with_runs=answer == "Delete all")
        except RunError as error:
            app.notify(str(error), severity="warning")
        except FileNotFoundError:
            pass  # it is deleted already
        except OSError as error:
            app.notify(f"{target.run.folder} could not be deleted: {error.strerror}", severity="error")
    if deleted:
        app.deleted.append(deleted)
        size = await asyncio.to_thread(lambda: sum(each.size for each in deleted))
        what = deleted[0].place.name if len(deleted) == 1 else f"{len(deleted)} folders"
        app.notify(
            f"{what}: u in Runs restores. {format_size(size)} stay on the disk for {trash.DAYS} days, or until you "
            "empty the trash (Ctrl-P).",
            title="Deleted",
            timeout=10,
        )
    app.runs_changed.publish(None)


def _delete(target: Target, *, with_runs: bool) -> list[Deleted]:
    if target.experiment:
        return trash.delete_experiment(target.experiment, with_runs=with_runs)
    return [trash.delete_run(target.run)]


def _ask(chosen: Sequence[Target]) -> Dialog:
    names = "\n".join(target.run.folder.name for target in chosen[:_MOST_NAMES])
    more = f"\nand {len(chosen) - _MOST_NAMES} more" if len(chosen) > _MOST_NAMES else ""
    title = "Delete this run?" if len(chosen) == 1 else f"Delete these {len(chosen)} runs?"
    return Dialog(title, f"{names}{more}\n\n{_UNDONE}", ["Delete", "Keep"])


def _ask_for_experiments(chosen: Sequence[Target]) -> Dialog:
    """Make the question which runs to delete with experiments."""
    found = [target.experiment for target in chosen if target.experiment]
    count = sum(len(experiment.list_members()) for experiment in found)
    names = ", ".join(target.recipe for target in chosen if target.experiment)
    others = len(chosen) - len(found)
    also = f" {format_quantity(others, 'other run')} also." if others else ""
    runs = format_quantity(count, "run")
    text = (
        f"The comparison and the report of {names} are deleted. The {runs} can be deleted too, or stay as separate "
        f"runs.{also}\n\n{_UNDONE}"
    )
    title = "Delete this experiment?" if len(found) == 1 else f"Delete these {len(found)} experiments?"
    return Dialog(title, text, ["Delete all", "Keep the runs", "Cancel"])


async def restore(app: FtApp) -> None:
    """Restore the folders that were deleted last. Called by a worker of the app."""
    if not app.deleted:
        return
    restored = 0
    for deleted in app.deleted.pop():
        try:
            await asyncio.to_thread(trash.restore, deleted)
            restored += 1
        except RunError as error:
            app.notify(str(error), severity="warning")
    if restored:
        app.notify(f"{format_quantity(restored, 'folder')} restored.")
    app.runs_changed.publish(None)


async def empty_trash(app: FtApp) -> None:
    """Remove deleted runs for good, after a question that says how many there are. Called by a worker of the app."""
    found = await asyncio.to_thread(trash.list_deleted, app.runs_dir)
    if not found:
        app.notify("The trash is empty.")
        return
    size = await asyncio.to_thread(lambda: sum(deleted.size for deleted in found))
    folders = format_quantity(len(found), "deleted folder")
    text = f"The trash has {folders} of {format_size(size)}. Removed runs cannot be restored."
    dialog = Dialog("Empty the trash?", text, ["Remove for good", "Keep"])
    if await app.push_screen_wait(dialog) != "Remove for good":
        return
    app.deleted.clear()
    errors: list[str] = []
    await asyncio.to_thread(
        trash.empty, app.runs_dir, failed=lambda folder, error: errors.append(f"{folder}: {error.strerror}")
    )
    for message in errors:
        app.notify(message, title="Not removed", severity="error")
