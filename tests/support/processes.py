"""Processes that tests start."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil


def none_left(folder: Path) -> None:
    """Fail if a process goes on that this one has started or whose command names the folder, and end it."""
    named = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or ())
    ]
    found = {*named, *psutil.Process().children(recursive=True)} - {psutil.Process()}
    _, alive = psutil.wait_procs(found, timeout=60)
    told = []
    for process in alive:
        with suppress(psutil.NoSuchProcess):  # it ends while it is looked at
            if process.status() != psutil.STATUS_ZOMBIE:
                told.append(" ".join(process.cmdline()))
            process.kill()
    assert not told
