"""Following a run: its events as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ftapp.runs.event_reader import EventReader
from ftapp.runs.events import AnyEvent
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder

_POLL_SECONDS = 0.1


def follow(run: RunFolder, alive: Callable[[], bool]) -> Iterator[tuple[AnyEvent | None, History]]:
    """Yield a run's events as they come, until its process ends.

    Args:
        run: The run to follow.
        alive: Whether its process lives.

    Yields:
        Events with the history that they tell so far, which begins anew where the log does; and no event every tenth of
        a second, so that callers can do other work.
    """
    reader, history, restarts = EventReader(run.events_file), History(), 0
    while True:
        living = alive()
        for piece in reader.pieces():
            if reader.restarts != restarts:
                history, restarts = History(), reader.restarts
            for event in piece:
                history.apply(event)
                yield event, history
        if not living:
            return
        yield None, history
        time.sleep(_POLL_SECONDS)
