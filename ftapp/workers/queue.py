"""The process of the queue: it carries out what waits, turn by turn. `ftapp.experiments.queue` starts it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from ftapp.common.errors import RecipeError, RunError
from ftapp.common.full_disk import FullDisk
from ftapp.common.shell_variables import drop_shell_variables
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.queue import Queue
from ftapp.experiments.queue_entries import Entry
from ftapp.launchers.choose import make_launcher
from ftapp.launchers.target import LOCAL, parse_target
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.launcher import AT_ONCE, STOP_SIGNALS
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.starting import prepare_resume

_POLL_SECONDS = 0.2
_MOST_AT_ONCE = 64


def main(folder: Path) -> int:
    """Carry out what waits in a queue, until nothing does. Returns the exit code.

    What another process of the queue has started is waited for. A run that a crash of the machine has ended goes on
    from its newest checkpoint, and so does an experiment or a sweep with its runs.
    """
    queue = Queue(folder)
    drop_shell_variables()  # each entry has those of its own shell
    try:
        disk = FullDisk(queue.folder / "disk.lock")
        with ThreadPoolExecutor(_MOST_AT_ONCE) as threads:
            _take_turns(queue, disk, lambda entry: threads.submit(_carry_out, queue, entry))
    except (OSError, RunError) as error:
        print(error, flush=True)
        return 1
    return 0


def _take_turns(queue: Queue, disk: FullDisk, begin: Callable[[Entry], Future[str]]) -> None:
    """Begin what may go on, and write down how it ends, until nothing goes on or waits."""
    going: dict[Future[str], Entry] = {}
    while True:
        for ended in [future for future in going if future.done()]:
            entry = going.pop(ended)
            with suppress(OSError):  # the disk is full
                print(f"{entry.label}: {entry.job}: {ended.result()}", flush=True)
            disk.write(partial(queue.end, entry.id, ended.result()), queue.folder)
        held = {each.id for each in going.values()}
        if taken := disk.write(partial(queue.take, held), queue.folder):
            going[begin(taken)] = taken
        elif going:
            wait(going, _POLL_SECONDS, FIRST_COMPLETED)
        else:
            return


def _carry_out(queue: Queue, entry: Entry) -> str:
    """Start an entry, or wait for what goes on, and return its status after its end."""
    job, code = queue.find_job(entry), EXIT_CODES["refused"]
    if not job.folder.is_dir():
        return "deleted"
    try:
        launcher = make_launcher(parse_target(entry.on) if isinstance(job, RunFolder) else LOCAL)
        if isinstance(job, Experiment):
            if not job.alive() and can_start(job):
                launcher.start(job, entry.environment)
                code = launcher.wait(job)
        elif not job.alive():
            if not job.events_file.exists():
                launcher.start(job, entry.environment)
                code = launcher.wait(job)
            elif job.status() == "crashed":
                start = prepare_resume(job, offline=entry.environment.get("FTAPP_OFFLINE") == "1")
                replace(start, environment={**entry.environment, **start.environment}).start(launcher)
                code = launcher.wait(job)
    except (OSError, RecipeError, RunError) as error:
        print(f"{entry.label}: {error}", flush=True)
    while job.alive():
        time.sleep(_POLL_SECONDS)
    return _find_status(job, code)


def can_start(experiment: Experiment) -> bool:
    """Tell whether an experiment or a sweep has not begun, or goes on after a crash of the machine.

    Args:
        experiment: An experiment that no process works on.
    """
    return experiment.status([]) == "crashed" and not experiment.is_stopping()


def _find_status(job: RunFolder | Experiment, code: int) -> str:
    """Find the status of what has ended. code: its exit code; where that is not known, that of a refused one."""
    if not job.folder.is_dir():  # who follows a run that was refused before it began removes it
        return "refused" if code == EXIT_CODES["refused"] else "deleted"
    if isinstance(job, RunFolder):
        return job.status()
    return job.status([member.run.status() for member in job.list_members()])


if __name__ == "__main__":
    # They were held back when the process was launched. Runs go on when it is ended.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, AT_ONCE))
    sys.exit(main(Path(sys.argv[1])))
