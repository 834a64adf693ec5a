"""Runs as jobs of Slurm, submitted by submitit (https://github.com/facebookincubator/submitit).

The job starts the run's process beside it. Before its time is over Slurm signals it: the run saves and ends as
unfinished, and the job is queued again, as often as its target allows. Its next attempt resumes the run.
"""

from __future__ import annotations

import importlib.util
import math
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ftapp.common.durations import parse_duration
from ftapp.common.errors import RunError, shorten, suggest_nearest
from ftapp.common.processes import make_python_command
from ftapp.launchers.attempt import Attempt, was_killed
from ftapp.launchers.target import JOB_TIME, LaunchTarget, make_target_error
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.launcher import hold_signals

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission

_RETRIES = 100
_MOST_STALLED = 3  # attempts in a row without a new step
_WARNING = 120.0  # seconds before the end of its time: a step, an evaluation and the save of a large model
_LONGEST_SECONDS = 15.0  # that an answer of Slurm is waited for
_FOLDER = "slurm"
_NAMED_BY_SUBMITIT = {"cpus": "cpus_per_task", "gpus": "gpus_per_node"}
_AS_THEY_ARE = ("mem", "account", "qos", "constraint", "nodelist", "exclude", "gres")


def check_slurm(target: LaunchTarget) -> None:
    """Check that jobs can be sent to a partition from this machine.

    Args:
        target: The target.

    Raises:
        RecipeError: submitit or Slurm's commands are missing, Slurm does not answer, or there is no such partition.
    """
    if importlib.util.find_spec("submitit") is None:
        raise make_target_error(
            target.text, "the package 'submitit' is not installed; Slurm needs it: pip install 'ftapp[slurm]'"
        )
    if missing := [name for name in ("sbatch", "srun", "sinfo") if shutil.which(name) is None]:
        message = f"the command '{missing[0]}' is not on PATH; a job is sent from a machine of the Slurm cluster"
        raise make_target_error(target.text, f"{message}, such as its login node")
    command = ["sinfo", "--noheader", "--format", "%R"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise make_target_error(
            target.text, f"Slurm's sinfo has not answered within {_LONGEST_SECONDS:.0f} s"
        ) from None
    if found.returncode:
        raise make_target_error(target.text, f"Slurm's sinfo failed: {shorten(found.stderr.strip())}")
    partitions = list(dict.fromkeys(found.stdout.split()))
    if target.place and target.place not in partitions:
        nearest = suggest_nearest(target.place, partitions)
        raise make_target_error(target.text, f"there is no partition '{target.place}' in this cluster; {nearest}")


class SlurmEngine:
    """Sends runs to a partition."""

    def __init__(self, target: LaunchTarget) -> None:
        """Prepare the engine.

        Args:
            target: The partition and the options of its jobs.
        """
        self._target = target

    def submit(self, folder: Path, launch: str, environment: Mapping[str, str]) -> str:
        """Submit the job of a run. Its files lie in the run's folder `slurm`.

        Args:
            folder: The run's folder.
            launch: The word that all attempts of this start have.
            environment: Variables that the run's process gets.

        Returns:
            The number of the job.

        Raises:
            RunError: Slurm has refused it.
            KeyboardInterrupt: Ctrl-C has come, and the job is cancelled.
        """
        from submitit import SlurmExecutor  # here, since it takes a tenth of a second to import
        from submitit.core.utils import FailedJobError, FailedSubmissionError
        from submitit.helpers import environment_variables

        options = self._target.options
        retries = int(options.get("retries", _RETRIES))
        python = shlex.join(make_python_command())
        executor = SlurmExecutor(folder / _FOLDER, max_num_timeout=retries, python=python)
        executor.update_parameters(job_name=f"ftapp-{folder.name}", **self._make_parameters())
        job = None
        try:
            # Ctrl-C reaches all processes of a terminal: `sbatch` would end, and nobody would know the job's number.
            with environment_variables(PYTHONSAFEPATH="1"), hold_signals():
                job = executor.submit(SlurmJob(folder, launch, dict(environment), retries))
            return str(job.job_id)
        except KeyboardInterrupt:
            if job:
                job.cancel()
            raise
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            raise RunError(f"Slurm has refused the job: {_shorten_refusal(str(error))}") from error

    def _make_parameters(self) -> dict[str, object]:
        """Make the parameters of submitit's executor: those of `sbatch`, the time in minutes."""
        options = self._target.options
        seconds = parse_duration(options.get("time", JOB_TIME))
        found: dict[str, object] = {
            "time": math.ceil(seconds / 60),
            # By default a short job is warned in its second half, or it would have no time to train.
            "signal_delay_s": int(parse_duration(options.get("warning", f"{min(_WARNING, seconds / 2)}s"))),
            "stderr_to_stdout": True,
            "wckey": None,
        }
        if self._target.place:
            found["partition"] = self._target.place
        found |= {_NAMED_BY_SUBMITIT[name]: int(options[name]) for name in _NAMED_BY_SUBMITIT if name in options}
        found |= {name: options[name] for name in _AS_THEY_ARE if name in options}
        more: dict[str, object] = {"requeue": True}
        if "reservation" in options:
            more["reservation"] = options["reservation"]
        return {**found, "additional_parameters": more}


def _shorten_refusal(text: str) -> str:
    """Take what `sbatch` says out of submitit's message."""
    lines = [line for line in text.splitlines() if line.startswith("sbatch:")]
    return shorten(" ".join(line.removeprefix("sbatch:").removeprefix(" error:").strip() for line in lines) or text)


@dataclass
class SlurmJob:
    """What the job does on its machine. submitit pickles it, calls it, and calls `checkpoint` when time is short.

    Attributes:
        folder: The run's folder.
        launch: The word that all attempts of this start have.
        environment: Variables that the run's process gets.
        retries: How often the job is queued again.
        stalled: How many attempts in a row have ended without a new step.
    """

    folder: Path
    launch: str
    environment: dict[str, str]
    retries: int
    stalled: int = 0
    _attempts: list[Attempt] = field(default_factory=list)

    def __call__(self) -> int:
        """Do an attempt at the run, and return the exit code of its process."""
        from submitit import JobEnvironment

        attempt = Attempt(self.folder, self.launch, self.environment, JobEnvironment().job_id)
        self._attempts.append(attempt)
        if not attempt.start():
            return EXIT_CODES["unfinished"]
        is_removed = False

        def save(number: int, frame: FrameType | None) -> None:
            # `scancel`, or a job that goes before this one. Slurm says whether it is queued again.
            nonlocal is_removed
            is_removed = True
            attempt.interrupt(signal.SIGTERM)

        signal.signal(signal.SIGTERM, save)
        code = attempt.wait()
        if not attempt.goes_on(code):
            attempt.end()
        elif is_removed:
            attempt.wait_again()
        else:  # as Slurm does when time is short: submitit calls `checkpoint`
            signal.raise_signal(signal.Signals[f"SIG{JobEnvironment.USR_SIG}"])
        return code

    def checkpoint(self) -> DelayedSubmission | None:
        """Have the run save and end, and return what the job does after it was queued again; None where it has ended.

        submitit calls this in a handler of its signal.
        """
        from submitit.core.utils import DelayedSubmission

        attempt = self._attempts[-1]
        attempt.interrupt(signal.SIGUSR2)
        code = attempt.wait()
        if not attempt.goes_on(code) or attempt.count > self.retries:
            attempt.end()
            return None
        stalled = 0 if attempt.has_made_steps() else self.stalled + 1
        if stalled >= _MOST_STALLED:
            attempt.give_up(f"{stalled} jobs in a row have ended without a new step; {_advise(code)}")
            return None
        attempt.wait_again()
        return DelayedSubmission(SlurmJob(self.folder, self.launch, self.environment, self.retries, stalled))


def _advise(code: int) -> str:
    """Say what a run needs that ends so before it makes a step."""
    if was_killed(code):
        return "its process was killed, most likely for want of memory: give it more, such as --on 'slurm?mem=32G'"
    return "its time is too short to begin: give it more, such as --on 'slurm?time=4h'"
