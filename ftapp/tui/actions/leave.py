"""Leaving the interface: the question where something would be lost or goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ftapp.tui.dialogs.dialog import Dialog

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp
    from ftapp.tui.jobs import BackgroundJob


def leave(app: FtApp, unsaved: str, jobs: Iterable[BackgroundJob]) -> None:
    """Close the interface. Where work would be lost or runs are running, ask first.

    Args:
        app: The interface.
        unsaved: What closing it would lose, in sentences; empty for nothing.
        jobs: Its jobs.
    """
    messages = [unsaved]
    if count := app.live_runs + app.waiting_runs:
        runs, them = ("A run continues", "it") if count == 1 else (f"{count} runs continue", "them")
        messages.append(f"{runs} without the interface. Runs shows {them} again, from any terminal.")
    messages += [f"{job.title} ends. {job.kept}" for job in jobs if job.status == "running"]
    if not any(messages):
        app.close()
        return

    def confirm(choice: str | None) -> None:
        if choice == "Close":
            app.close()

    app.push_screen(Dialog("Close the interface?", "\n".join(filter(None, messages)), ["Close", "Stay"]), confirm)
