"""Tags and notes of runs, changed from the interface."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ftapp.common.errors import RunError
from ftapp.runs import annotation
from ftapp.runs.annotation import Annotations
from ftapp.tui.actions.target import Target
from ftapp.tui.dialogs.annotate_form import AnnotateForm

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp


async def annotate(app: FtApp, targets: Sequence[Target]) -> None:
    """Let the user change the tags and the note of a run, or the tags that several have in common.

    Called by a worker of the app. Tags and notes that another process changes meanwhile stay as it leaves them. What
    cannot be written is offered again, so that it is not lost.

    Args:
        app: Shows the form and what cannot be written, and tells its screens.
        targets: The runs and experiments.
    """
    known = await asyncio.to_thread(lambda: [annotation.load(target.run.folder) for target in targets])
    is_one = len(targets) == 1
    common = tuple(tag for tag in known[0].tags if all(tag in each.tags for each in known))
    now = Annotations(tags=common, note=known[0].note if is_one else "")
    title = targets[0].run.folder.name if is_one else f"{len(targets)} marked runs"
    shown, is_written = now, False
    while not is_written:
        wanted = await app.push_screen_wait(AnnotateForm(title, shown, has_note=is_one))
        if wanted is None or wanted == now:
            return
        shown, is_written = wanted, await _write(app, targets, now, wanted)
        app.runs_changed.publish(None)


async def _write(app: FtApp, targets: Sequence[Target], now: Annotations, wanted: Annotations) -> bool:
    """Write what differs from the tags and the note of now, and return whether all of it could be written."""
    added, removed = [tag for tag in wanted.tags if tag not in now.tags], set(now.tags) - set(wanted.tags)
    note = wanted.note if wanted.note != now.note else None
    is_written = True
    for target in targets:
        try:
            there = await asyncio.to_thread(annotation.load, target.run.folder)
            remove = removed & set(there.tags)
            await asyncio.to_thread(partial(annotation.change, target.run.folder, add=added, remove=remove, note=note))
        except RunError as error:
            app.notify(str(error), severity="error")
            is_written = False
    return is_written
