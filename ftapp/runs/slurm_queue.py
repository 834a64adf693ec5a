"""What Slurm says of a job, asked through `squeue` and not more often than every few seconds."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import Literal

from ftapp.common.formatting import make_one_line

JobState = Literal["waiting", "working", "gone", "unknown"]

_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
_WORKING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"}
_NO_REASON = ("", "None", "(null)")
_ASK_SECONDS = 5.0  # a busy controller asks its users for no more
_LONGEST_SECONDS = 10.0  # that an answer is waited for

_known: dict[str, tuple[float, JobState, str]] = {}  # by job: when it was asked about, its state, its reason


def find_job_state(job: str) -> JobState:
    """Find how a job of Slurm stands. It may wait for Slurm's answer, so the interface's own thread does not call it.

    Args:
        job: Its number.

    Returns:
        waiting for machines, working, gone, or unknown where Slurm cannot be asked from here.
    """
    return _look(job)[0]


def find_reason(job: str) -> str:
    """Find why a job of Slurm waits. It may wait for Slurm's answer, as `find_job_state`.

    Args:
        job: Its number.

    Returns:
        The reason in Slurm's words, such as Resources or QOSMaxJobsPerUserLimit; "" where the job does not wait, or
        Slurm gives none.
    """
    state, reason = _look(job)
    return reason if state == "waiting" else ""


def _look(job: str) -> tuple[JobState, str]:
    """Return the state of a job and the reason for it, which may be some seconds old."""
    asked, state, reason = _known.get(job, (0.0, "unknown", ""))
    if job not in _known or time.monotonic() - asked >= _ASK_SECONDS:
        state, reason = _ask(job)
        _known[job] = time.monotonic(), state, reason
    return state, reason


def _ask(job: str) -> tuple[JobState, str]:
    if shutil.which("squeue") is None:
        return "unknown", ""
    command = ["squeue", "--noheader", "--jobs", job, "--format", "%T %r"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown", ""
    if found.returncode:
        return ("gone" if "Invalid job id" in found.stderr else "unknown"), ""
    word, _, reason = found.stdout.partition("\n")[0].strip().partition(" ")
    reason = make_one_line(reason).strip()
    state: JobState = "waiting" if word in _WAITING else "working" if word in _WORKING else "gone"
    return state, "" if reason in _NO_REASON else reason
