"""Runs of Trackio, through its own client."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import Any

from ftapp.runs.history import History
from ftapp.tracking.tracker import Numbers, Sample, TrackedRun

_SERVERS = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")  # the variables that name a place elsewhere


class TrackioTracker:
    """Sends numbers and samples to a project.

    The client keeps them on this machine, unless its own variables name a server or a Space.
    """

    def start(self, run: TrackedRun, target: str, former: str) -> str:
        """Begin the run, or go on with it."""
        if any(map(os.environ.get, _SERVERS)):
            run.check_online()
        import trackio

        self._project = target
        config = {**run.config, "experiment": run.group or "", "arm": run.job or ""}
        self._run: Any = trackio.init(
            project=target,
            name=run.name,
            group=run.group,
            config=config,
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        return run.name

    def send(self, records: Sequence[Numbers | Sample]) -> None:
        """Hand numbers and samples to the client."""
        import trackio

        for each in records:
            if isinstance(each, Numbers):
                self._run.log(each.named, step=each.step)
            else:
                self._run.log({"samples": trackio.Markdown(f"**{each.prompt}**\n\n{each.text}")}, step=each.step)

    def finish(self, history: History, status: str) -> str:
        """Wait until the client has written everything."""
        self._run.finish()
        return f"trackio show --project {shlex.quote(self._project)}"
