"""What Slurm says of jobs, asked through one `squeue` for all of them and not more often than every few seconds."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass
from threading import Lock
from typing import Literal

from ftapp.common.formatting import make_one_line

JobState = Literal["waiting", "working", "gone", "unknown"]

_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
_WORKING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"}
_NO_REASON = ("", "None", "(null)")
_ASK_SECONDS = 5.0  # a busy controller asks its users for no more
_FORGET_SECONDS = 60.0  # a job that nobody has looked for in this time is not asked about any more
_LONGEST_SECONDS = 10.0  # that an answer is waited for


@dataclass
class _Job:
    """What is known of a job: when it was looked for and when Slurm was asked, and its state with the reason."""

    looked_for: float
    asked: float | None = None
    state: JobState = "unknown"
    reason: str = ""


_jobs: dict[str, _Job] = {}  # by number
_asking = Lock()


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
    with _asking:
        now = time.monotonic()
        known = _jobs.setdefault(job, _Job(now))
        known.looked_for = now
        if known.asked is None or now - known.asked >= _ASK_SECONDS:
            for number in [each for each in _jobs if now - _jobs[each].looked_for > _FORGET_SECONDS]:
                del _jobs[number]
            for number, (state, reason) in _ask(_jobs).items():
                _jobs[number].state, _jobs[number].reason, _jobs[number].asked = state, reason, time.monotonic()
        return known.state, known.reason


def _ask(jobs: Collection[str]) -> dict[str, tuple[JobState, str]]:
    """Ask Slurm for the states of jobs, and the reasons for them. Of several, it leaves out those that are gone."""
    unknown: dict[str, tuple[JobState, str]] = dict.fromkeys(jobs, ("unknown", ""))
    if shutil.which("squeue") is None:
        return unknown
    command = ["squeue", "--noheader", "--jobs", ",".join(jobs), "--format", "%i %T %r"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return unknown
    if found.returncode and "Invalid job id" not in found.stderr:
        return unknown
    answers: dict[str, tuple[JobState, str]] = dict.fromkeys(jobs, ("gone", ""))
    for line in found.stdout.splitlines():
        job, _, rest = line.strip().partition(" ")
        word, _, reason = rest.partition(" ")
        reason = make_one_line(reason).strip()
        state: JobState = "waiting" if word in _WAITING else "working" if word in _WORKING else "gone"
        if job in answers:
            answers[job] = state, "" if reason in _NO_REASON else reason
    return answers
