"""The process of a run: from its folder to its last event and exit code. Started by `ftapp.runs.launch`."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

from ftapp import recipe as recipes
from ftapp.errors import RecipeError, RunError
from ftapp.events import EventLog, RunEnded, Status
from ftapp.runs import EXIT_CODES, STOP_SIGNALS, Run


class Control:
    """What the process and its job tell each other.

    SIGINT and SIGTERM are a wish to end after the current step, or at once while there is nothing to lose; the job sets
    `can_wait` when there is, and counts its `steps`.
    """

    def __init__(self) -> None:
        self._wanted = False
        self.can_wait = False
        self.steps = 0
        for number in STOP_SIGNALS:
            signal.signal(number, self._arrived)
        # They were held back when the process was launched, so that none arrives before it can be answered.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def wanted(self) -> bool:
        """Whether the run should end after its current step."""
        return self._wanted

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._wanted or not self.can_wait:
            raise KeyboardInterrupt
        self._wanted = True


def main(folder: Path) -> int:
    """Do the run in `folder` and return its exit code. Every end but a killed process's writes a RunEnded event."""
    run, begun = Run(folder), time.monotonic()
    log = EventLog(run.events_file)
    control = Control()
    error, problems = None, []
    status: Status
    try:
        recipe = recipes.load(run.recipe_file)
        # Imported here so that everything that can go wrong with it, an interruption included, ends in an event too.
        from ftapp import train

        train.train(recipe, run, log, control)
        status = "interrupted" if control.wanted() else "done"
    except KeyboardInterrupt:
        status, error = "interrupted", "interrupted before the model was saved"
    except RecipeError as raised:
        status, error = "refused", str(raised)
        problems = [(problem.file, problem.key, problem.message) for problem in raised.problems]
    except RunError as raised:
        status, error = "failed", str(raised)
    except Exception as raised:
        traceback.print_exc()
        status, error = "failed", f"{type(raised).__name__}: {str(raised).strip()}"
    ended = RunEnded(
        time=time.time(),
        status=status,
        steps=control.steps,
        seconds=time.monotonic() - begun,
        error=error,
        problems=problems,
    )
    try:
        log.write(ended)
    except OSError as raised:  # a full disk, most likely; train.log may be on another one
        print(f"the end of the run could not be written: {raised}; it was {ended}", file=sys.stderr)
    return EXIT_CODES[status]


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is on disk; the backends' threads and atexit hooks would only delay the end.
    os._exit(code)
