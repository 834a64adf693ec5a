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
from ftapp.runs import EXIT_CODES, Run


class Interruption:
    """SIGINT and SIGTERM as a wish to end after the current step, or at once while there is nothing to lose."""

    def __init__(self) -> None:
        self._wanted = False
        self.can_wait = False
        signal.signal(signal.SIGINT, self._arrived)
        signal.signal(signal.SIGTERM, self._arrived)

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
    interruption = Interruption()
    steps, error, problems = 0, None, []
    status: Status
    try:
        recipe = recipes.load(run.recipe_file)
        # Imported here so that everything that can go wrong with it, an interruption included, ends in an event too.
        from ftapp import train

        steps = train.train(recipe, run, log, interruption)
        status = "interrupted" if interruption.wanted() else "done"
    except KeyboardInterrupt:
        status, error = "interrupted", "interrupted before there was anything to save"
    except RecipeError as raised:
        status, error = "refused", str(raised)
        problems = [(problem.file, problem.key, problem.message) for problem in raised.problems]
    except RunError as raised:
        status, error = "failed", str(raised)
    except Exception as raised:
        traceback.print_exc()
        status, error = "failed", f"{type(raised).__name__}: {str(raised).strip()}"
    log.write(
        RunEnded(
            time=time.time(),
            status=status,
            steps=steps,
            seconds=time.monotonic() - begun,
            error=error,
            problems=problems,
        )
    )
    return EXIT_CODES[status]


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is on disk; the backends' threads and atexit hooks would only delay the end.
    os._exit(code)
