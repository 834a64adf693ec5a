"""The process that tracks a run: it follows the run's events, and tells trackers and the user. A run starts it."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from ftapp.common import downloads
from ftapp.common.errors import RecipeError, RunError
from ftapp.recipe.user_settings import load_settings
from ftapp.runs.history import History
from ftapp.runs.launcher import AT_ONCE, STOP_SIGNALS
from ftapp.runs.run_folder import RunFolder
from ftapp.tracking.follow import track
from ftapp.tracking.notify import describe_end, notify
from ftapp.tracking.targets import find_usual

_NICENESS = 5  # the run goes first


def main(folder: Path) -> int:
    """Track the run in `folder` to its end, and again if it goes on meanwhile. Returns the exit code."""
    run, offline = RunFolder(folder), downloads.is_offline()
    try:
        settings = load_settings()
        targets = find_usual(run).list_used()

        def tell_end(history: History) -> None:
            end = describe_end(folder.name, history, run.status(history))
            for problem in notify(settings.notify, end, offline=offline):
                _print(problem)

        while True:
            _, tracked = track(run, targets, offline=offline, tell_end=tell_end)
            if not run.alive():
                break
        # A server may have been away for a while: trackers that had an error get the rest once more.
        failed = {name: targets[name] for name, each in tracked.items() if each.error}
        if failed:
            _, tracked = track(run, failed, offline=offline)
        return int(any(each.error for each in tracked.values()))
    except (RecipeError, RunError, OSError) as error:
        _print(error)
        return 1


def _print(message: object) -> None:
    with suppress(OSError):  # the disk of the log is full
        print(message, flush=True)


if __name__ == "__main__":
    # They were held back when the process was launched; this one may be ended at any time.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, AT_ONCE))
    os.nice(_NICENESS)
    sys.exit(main(Path(sys.argv[1])))
