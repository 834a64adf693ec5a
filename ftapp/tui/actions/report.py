"""The report of a run: opened, and made first where there is none or the run has gone on since."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ftapp.common.processes import make_child_environment, make_module_command
from ftapp.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp


async def open_report(app: FtApp, run: RunFolder) -> None:
    """Open the report of a run. Called by a worker of the app.

    Args:
        app: Shows it, or why it cannot be made.
        run: The run.
    """
    file = run.report_file
    is_there = await asyncio.to_thread(file.is_file)
    if app.person.find_obstacle("use") is None and not (is_there and await asyncio.to_thread(_is_current, file, run)):
        app.notify("It opens when it is made.", title="Making the report")
        if wrong := await _make(run):
            app.notify(wrong, title="The report was not made", severity="error", timeout=12, markup=False)
            return
    elif not is_there:
        app.notify("This run has no report yet, and a link that only shows makes none.", severity="warning")
        return
    app.open_path(file)


def _is_current(file: Path, run: RunFolder) -> bool:
    with suppress(OSError):
        return file.stat().st_mtime >= run.events_file.stat().st_mtime
    return True


async def _make(run: RunFolder) -> str:
    """Make the report, and return what is wrong, if anything is."""
    command = make_module_command("ftapp.cli", "report", str(run.folder))
    process = await asyncio.create_subprocess_exec(
        *command, env=make_child_environment(), stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    _, said = await process.communicate()
    return said.decode(errors="replace").strip()[-1000:] or "unknown" if process.returncode else ""
