"""A run's process, started and narrated on stderr from its events until it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ftapp.common.console import PlainConsole
from ftapp.common.errors import RecipeError, RunError
from ftapp.runs import following
from ftapp.runs.event_reader import read_last_time
from ftapp.runs.history import History
from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import Launcher
from ftapp.runs.narrator import Narrator, explain
from ftapp.runs.outcome import build_outcome
from ftapp.runs.resuming import find_refusal
from ftapp.runs.run_folder import RunFolder, remove_refused
from ftapp.runs.starting import RunStart

_PATIENT_SECONDS, _HURRIED_SECONDS = 300.0, 10.0  # for trackers, once a run has ended


def follow_run(
    start: RunStart, launcher: Launcher, interruption: Interruption, notes: Sequence[str] = (), *, debug: bool
) -> dict[str, Any]:
    """Start the process of a run, and follow it to its end.

    Args:
        start: The run, ready to start.
        launcher: What starts it.
        interruption: Hands signals on to it.
        notes: What is said before it starts, one a line.
        debug: Whether the output of a run that did not end well is shown.

    Returns:
        The outcome, as `ftapp run --json` prints it.

    Raises:
        OSError: The process cannot be started.
        RunError: A process works on the run already.
    """
    run = start.run
    begun, history = read_last_time(run.events_file), History()
    # The time of the last event that was narrated. A log that is cut back, as that of a resumed run, has it again.
    narrated = begun
    with Narrator(run, PlainConsole(sys.stderr)) as narrator:
        for note in notes:
            narrator.say(note)
        start.start(launcher)
        interruption.add(run)
        for event, history in following.follow(run, lambda: launcher.alive(run)):
            for message in interruption.take_messages():
                narrator.say(message)
            if event is None:
                narrator.look()
            elif event.time > narrated:
                narrated = event.time
                narrator.tell(event, history)
        _follow_tracking(run, narrator, interruption)
    _ring(history)
    outcome = build_outcome(run, start.name, history, start.recipe)
    is_explained = find_refusal(history, begun) is not None and not debug
    if outcome["status"] in ("failed", "crashed", "refused") and not is_explained:
        explain(run, history, outcome["status"], debug=debug, was_stopped=interruption.requested)
    elif outcome["status"] == "unfinished":  # and goes on nowhere, as it does where Slurm has queued it again
        print(f"'ftapp resume {run.folder.name}' goes on with it", file=sys.stderr)
    if remove_refused(run, history):
        outcome["run"] = None
    return outcome


def _follow_tracking(run: RunFolder, narrator: Narrator, interruption: Interruption) -> None:
    """Wait until trackers have everything of a run that has ended, and tell where it is."""
    from ftapp.tracking.job import TrackJob, wait_for_tracking
    from ftapp.tracking.track_file import load_tracked

    if not TrackJob(run.folder).lock_file.exists():
        return
    is_waited_for = make_patience(interruption)

    def look() -> bool:
        narrator.look()
        return is_waited_for()

    if not wait_for_tracking(run, look):
        log = TrackJob(run.folder).log_file
        narrator.say(f"the trackers do not have everything yet; their process goes on, and its log is {log}")
        return
    for name, tracked in load_tracked(run.folder).items():
        if tracked.error:
            narrator.say(f"{name}: {tracked.error}; 'ftapp track {run.folder.name}' sends what is missing")
        elif tracked.place:
            narrator.say(f"{name}: {tracked.place}")


def make_patience(interruption: Interruption) -> Callable[[], bool]:
    """Make what tells whether trackers are still waited for, once a run has ended.

    Who has stopped a run, or a batch system whose time is over, does not wait for long; who stops it from now on, not
    at all.
    """
    was_stopped = interruption.requested
    deadline = time.monotonic() + (_HURRIED_SECONDS if was_stopped else _PATIENT_SECONDS)
    return lambda: time.monotonic() < deadline and interruption.requested == was_stopped


def _ring(history: History) -> None:
    """Ring the terminal's bell at the end of a run, if the user's settings say so."""
    from ftapp.recipe.user_settings import load_settings

    try:
        settings = load_settings().notify
    except (RecipeError, RunError):  # the file was changed while the run went on; its result is told all the same
        return
    if settings.bell and sys.stderr.isatty() and (history.ended.seconds if history.ended else 0.0) >= settings.after:
        print("\a", end="", file=sys.stderr, flush=True)
