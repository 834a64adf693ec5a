"""Copies of runs as they stood at a checkpoint."""

from __future__ import annotations

import shutil

from ftapp.runs.checkpoints import list_checkpoints
from ftapp.runs.run_folder import RunFolder


def cut_back(run: RunFolder, step: int) -> RunFolder:
    """Copy a run as if it had been killed after `step` steps, with its log ahead of its newest checkpoint."""
    copy = RunFolder(run.folder.with_name(f"{run.folder.name}-{step}"))
    shutil.copytree(run.folder, copy.folder)
    for found, folder in list_checkpoints(copy):
        if found > step:
            shutil.rmtree(folder)
    lines = copy.events_file.read_bytes().splitlines(keepends=True)
    copy.events_file.write_bytes(b"".join(lines[:-1]))  # without its end
    copy.status_file.unlink()
    return copy
