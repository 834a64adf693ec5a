"""What Slurm says of a job, asked through `squeue` and not more often than every few seconds."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import Literal

JobState = Literal["waiting", "working", "gone", "unknown"]

_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
_WORKING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"}
_ASK_SECONDS = 5.0  # a busy controller asks its users for no more
_LONGEST_SECONDS = 10.0  # that an answer is waited for

_known: dict[str, tuple[float, JobState]] = {}


def find_job_state(job: str) -> JobState:
    """Find how a job of Slurm stands.

    Args:
        job: Its number.

    Returns:
        waiting for machines, working, gone, or unknown where Slurm cannot be asked from here.
    """
    asked, state = _known.get(job, (0.0, "unknown"))
    if job not in _known or time.monotonic() - asked >= _ASK_SECONDS:
        state = _ask(job)
        _known[job] = time.monotonic(), state
    return state


def _ask(job: str) -> JobState:
    if shutil.which("squeue") is None:
        return "unknown"
    command = ["squeue", "--noheader", "--jobs", job, "--format", "%T"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    if found.returncode:
        return "gone" if "Invalid job id" in found.stderr else "unknown"
    states = set(found.stdout.split())
    return "waiting" if states & _WAITING else "working" if states & _WORKING else "gone"
