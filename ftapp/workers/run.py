"""The process of a run: from its folder to its last event and exit code. A launcher starts it."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ftapp import recipe as recipes
from ftapp.common import confinement
from ftapp.common.durable import replace_file
from ftapp.common.errors import HubError, RecipeError, RunError, explain_way_out, shorten
from ftapp.common.full_disk import FullDisk, is_full
from ftapp.common.quick_imports import hide_libraries, quick_imports
from ftapp.common.watchdog import Watchdog
from ftapp.runs.control import Control
from ftapp.runs.environment import read_max_seconds
from ftapp.runs.event_log import EventLog, NoteHandler, ProgressLog
from ftapp.runs.event_reader import read_last_time
from ftapp.runs.event_types import Status
from ftapp.runs.events import Noted, RunEnded
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.held_lease import hold_lease
from ftapp.runs.launcher import AT_ONCE, STOP_SIGNALS
from ftapp.runs.resuming import find_first_command, go_back, has_begun
from ftapp.runs.rewind import restore_log
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.status import StatusLog
from ftapp.tracking.job import start_tracking
from ftapp.training.state import TrainState, read_state

# What backends call their errors of memory.
_OUT_OF_MEMORY = ("MemoryError", "ResourceExhaustedError", "OutOfMemoryError")
# KerasHub imports this for its tokenizers where it is installed; that takes a tenth of the import of both.
_OF_TEXTS = frozenset({"tensorflow_text"})


def main(folder: Path) -> int:
    """Do the run in `folder`, or go on with it, and return its exit code.

    Every end but a killed process's writes a RunEnded event. Where a run cannot go on, its log stays as it was, with a
    note that says why.
    """
    began = time.monotonic()
    run = RunFolder(folder)
    lease = hold_lease(run)
    confirm = lease.confirm if lease else lambda: None
    try:
        point = go_back(run) if has_begun(run) else None
        state = read_state(point.folder, point.facts) if point and point.folder and point.facts else TrainState()
        disk = FullDisk(run.disk_lock_file, confirm)
        log = StatusLog(run.events_file, run.status_file, disk, read_last_time(run.former_events_file))
        watchdog_log = EventLog(run.events_file)
    except (RecipeError, RunError, OSError) as raised:
        return _stay(run, "refused", str(raised))
    skip = 0
    if point:
        state.inexact = list(dict.fromkeys([*state.inexact, *point.differences, *point.hints]))
        skip = find_first_command(run)

    def locate() -> tuple[int, int]:
        return state.position.phase, state.position.run_step

    control = Control(run, log, disk, locate, elapsed=state.elapsed, skip=skip)
    control.handle_signals()
    watchdog = Watchdog(control.is_waiting, _end_stuck(watchdog_log, control))
    error, problems = None, []
    status: Status
    try:
        # They were held back when the process was launched; one that has come meanwhile ends the run now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, AT_ONCE))
        control.ends_at = began + read_max_seconds()
        recipe = recipes.load(run.recipe_file)
        _start_tracking(run, recipe)
        log_progress = ProgressLog(log)

        def progress(activity: str, done: int, total: int | None) -> None:
            log_progress(activity, done, total)
            if control.should_stop():
                raise KeyboardInterrupt  # there is nothing to lose yet

        # Imported here so that everything that can go wrong with it, an interruption included, ends in an event too;
        # the data first, since they need no Keras, which takes seconds to import.
        with NoteHandler(log):
            for note in point.notes if point else ():
                log.write(Noted(time=time.time(), message=note))
            from ftapp import data

            recipe = _pin_data(run, recipe)
            found = data.read_early(recipe, progress)
            has_texts = recipes.TASKS[recipe.task].inputs == "texts"
            with quick_imports(), hide_libraries(frozenset() if has_texts else _OF_TEXTS):
                from ftapp.training import job

            job.do_job(recipe, found, run, log, control, state, progress, point)
        status = control.stop_status or "done"
    except KeyboardInterrupt:
        status, error = control.stop_status or "interrupted", "interrupted before the model was saved"
    except RecipeError as raised:
        status, error = "refused", str(raised)
        problems = [(problem.file, problem.key, problem.message) for problem in raised.problems]
    except HubError as raised:
        status, error = "failed", f"{raised}; {_way_out(run)}"
    except RunError as raised:
        status, error = "failed", str(raised)
    except Exception as raised:
        if control.stop_status and not control.can_wait:  # a library has made another error of the interruption
            status, error = control.stop_status, "interrupted before the model was saved"
        else:
            status, error = "failed", shorten(_explain(raised))
            with suppress(OSError):  # the disk is full
                traceback.print_exc()
    watchdog.stop()
    if point and not control.can_wait:
        return _stay(run, status, "it was asked to end before it trained" if control.stopping else error or "")
    ended = RunEnded(
        time=time.time(),
        status=status,
        steps=control.steps,
        seconds=control.clock(),
        error=error,
        problems=problems,
    )
    try:
        control.close()
        log.write(ended)
    except OSError as raised:  # a full disk, most likely; job.log may be on another one
        with suppress(OSError):
            print(f"the end of the run could not be written: {raised}; it {status}: {error}", file=sys.stderr)
    return EXIT_CODES[status]


def _start_tracking(run: RunFolder, recipe: recipes.Recipe) -> None:
    """Start the process that tracks the run. Where that fails, the run goes on without it."""
    try:
        start_tracking(run, recipe)
    except (OSError, RecipeError, RunError) as error:
        print(f"the run is not tracked: {error}", file=sys.stderr, flush=True)


def _pin_data(run: RunFolder, recipe: recipes.Recipe) -> recipes.Recipe:
    """Write the commit of data on Hugging Face into a run's recipe, so that the run goes on with the same data."""
    if not recipe.data.source.startswith("hf:"):
        return recipe
    from ftapp.data import hub_table

    pinned = hub_table.pin(recipe)
    if pinned is not recipe:
        replace_file(run.recipe_file, pinned.to_toml().encode())
    return pinned


def _stay(run: RunFolder, status: Status, error: str) -> int:
    """Leave a run as it was before it was to go on, with a note, and return the exit code."""
    print(error, file=sys.stderr)
    with suppress(OSError):
        restore_log(run)
        EventLog(run.events_file).write(Noted(time=time.time(), message=f"the run could not go on: {error}"))
    return EXIT_CODES[status]


def _end_stuck(log: EventLog, control: Control) -> Callable[[str], None]:
    """What ends a process whose main thread is stuck. log: opened while there was memory."""

    def end(error: str) -> None:
        try:
            faulthandler.dump_traceback(all_threads=True)  # where it is stuck, in the run's log
            control.confirm_writing()
            seconds, steps = control.clock(), control.steps
            log.write(RunEnded(time=time.time(), status="failed", steps=steps, seconds=seconds, error=error))
        finally:
            os._exit(EXIT_CODES["failed"])

    return end


def _explain(error: Exception) -> str:
    """What an error that nobody expected says to the user of a run."""
    name, text = type(error).__name__, str(error).strip()
    if name in _OUT_OF_MEMORY or "RESOURCE_EXHAUSTED" in text or "can't start new thread" in text:
        first = text.partition("\n")[0][:200]
        return (
            f"the run needs more memory than it may use ({name}{': ' if first else ''}{first}); a smaller batch_size, "
            "image_size or sequence_length takes less"
        )
    if is_full(error):
        return f"the disk is full ({text}); make room and run it again"
    return f"{name}: {text}"


def _way_out(run: RunFolder) -> str:
    facts = run.environment()
    return explain_way_out([name for name in facts.get("hubless_profiles", []) if name != facts.get("profile")])


if __name__ == "__main__":
    confinement.enter()
    code = main(Path(sys.argv[1]))
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Everything is on disk; the backends' threads and atexit hooks would only delay the end.
    os._exit(code)
