"""The process that tracks a run: it follows the run's events, and tells trackers and the user. A run starts it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ftapp.common import downloads
from ftapp.common.errors import RecipeError, RunError
from ftapp.recipe.user_settings import load_settings
from ftapp.runs.launcher import AT_ONCE, STOP_SIGNALS
from ftapp.runs.run_folder import RunFolder
from ftapp.tracking.follow import track
from ftapp.tracking.notify import describe_end, notify
from ftapp.tracking.targets import find_usual

_NICENESS = 5  # the run goes first


def main(folder: Path) -> int:
    """Track the run in `folder` to its end, and again if it goes on meanwhile. Returns the exit code."""
    run = RunFolder(folder)
    try:
        settings = load_settings()
        targets = find_usual(run).list_used()
        while True:
            history, tracked = track(run, targets, offline=downloads.is_offline())
            if history.started is not None:
                status = run.status(history)
                for problem in notify(settings.notify, describe_end(folder.name, history, status)):
                    print(problem, flush=True)
            if not run.alive():
                return int(any(each.error for each in tracked.values()))
    except (RecipeError, RunError, OSError) as error:
        print(error, flush=True)
        return 1


if __name__ == "__main__":
    # They were held back when the process was launched; this one may be ended at any time.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, AT_ONCE))
    os.nice(_NICENESS)
    sys.exit(main(Path(sys.argv[1])))
