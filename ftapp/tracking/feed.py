"""One tracker of one run: it gets nothing twice, and its errors stop nothing else."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from contextlib import suppress

from ftapp.common.errors import RunError, shorten
from ftapp.runs.history import History
from ftapp.tracking.track_file import Tracked
from ftapp.tracking.tracker import Numbers, Sample, TrackedRun, Tracker

_CLASSES = {
    "tensorboard": "to_tensorboard.TensorBoardTracker",
    "wandb": "to_wandb.WandbTracker",
    "mlflow": "to_mlflow.MlflowTracker",
    "trackio": "to_trackio.TrackioTracker",
    "history": "to_table.TableTracker",
}

_USER = re.compile(r"://[^/@\s]+@")

Place = tuple[int, int]
"""A step, and how many records of the same group and step came before."""


class Feed:
    """Feeds one tracker with the records of a run.

    A run that goes on after a checkpoint records the steps behind it again, with the same numbers. The tracker has
    these already, so they are not sent again.
    """

    def __init__(self, name: str, run: TrackedRun, tracked: Tracked) -> None:
        """Prepare the tracker.

        Args:
            name: The name of the tracker.
            run: The run.
            tracked: How far the tracker has got. It is brought up to date.
        """
        self.name, self.tracked = name, tracked
        tracked.error = ""
        self._run = run
        self._tracker: Tracker | None = None

    def send(self, records: Sequence[tuple[Place, Numbers | Sample]]) -> None:
        """Send what the tracker has not got yet. After an error it gets nothing more."""
        sent = self.tracked.sent
        fresh = [(place, each) for place, each in records if place > sent.get(each.group, (-1, 0))]
        if not fresh or self.tracked.error:
            return
        try:
            self._get_tracker().send([each for _, each in fresh])
        except Exception as error:
            self._note(error)
        else:
            for place, each in fresh:
                sent[each.group] = max(place, sent.get(each.group, place))

    def finish(self, history: History, status: str) -> None:
        """End the run of the tracker, unless it has ended there and nothing was sent since."""
        if self.tracked.error or (self._tracker is None and self.tracked.status == status):
            return
        try:
            self.tracked.place = _hide_passwords(self._get_tracker().finish(history, status))
        except Exception as error:
            self._note(error)
        else:
            self.tracked.status = status
        self._tracker = None

    def _get_tracker(self) -> Tracker:
        if self._tracker is None:
            module, _, name = _CLASSES[self.name].partition(".")
            tracker: Tracker = getattr(importlib.import_module(f"ftapp.tracking.{module}"), name)()
            self.tracked.id = tracker.start(self._run, self.tracked.target, self.tracked.id)
            self._tracker = tracker
        return self._tracker

    def _note(self, error: Exception) -> None:
        kind = "" if isinstance(error, RunError) else type(error).__name__
        first = _hide_passwords(str(error).strip().partition("\n")[0])
        self.tracked.error = shorten(": ".join(filter(None, (kind, first))))
        with suppress(OSError):  # the disk of the log is full
            print(f"{self.name}: {self.tracked.error}", flush=True)


def _hide_passwords(text: str) -> str:
    """Hide the names and passwords of users in the addresses of a text."""
    return _USER.sub("://…@", text)
