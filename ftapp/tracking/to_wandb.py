"""Runs of Weights & Biases, through its own client."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from ftapp.runs.history import History
from ftapp.tracking.tracker import Numbers, Sample, TrackedRun

_EXIT_CODES = {"done": 0, "interrupted": 255, "pruned": 255}  # by which W&B tells finished and killed runs


class WandbTracker:
    """Sends numbers and samples to a project. Offline, they are kept in the run's folder for `wandb sync`.

    The client reads the key and the server from its own settings. The run there has the name of the run as its id, so a
    run that goes on here goes on there.
    """

    def start(self, run: TrackedRun, target: str, former: str) -> str:
        """Begin the run, or go on with it."""
        import wandb

        entity, _, project = target.rpartition("/")
        settings = wandb.Settings(
            console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True, x_disable_meta=True
        )
        self._folder = run.folder
        self._run: Any = wandb.init(
            entity=entity or None,
            project=project,
            id=run.name,
            name=run.name,
            group=run.group,
            job_type=run.job,
            config=dict(run.config),
            resume="allow",
            mode="offline" if run.offline else None,
            dir=run.folder,
            settings=settings,
        )
        # Numbers come by the steps of the run, which several calls have in common.
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")
        return run.name

    def send(self, records: Sequence[Numbers | Sample]) -> None:
        """Hand numbers and samples to the client's own process."""
        import wandb

        for each in records:
            if isinstance(each, Numbers):
                self._run.log({**each.named, "step": each.step})
            else:
                table = wandb.Table(columns=["step", "prompt", "text"], data=[[each.step, each.prompt, each.text]])
                self._run.log({"samples": table, "step": each.step})

    def finish(self, history: History, status: str) -> str:
        """Write the summary, and wait until everything is sent."""
        if history.result:
            self._run.summary.update({f"test/{name}": value for name, value in history.result.values.items()})
        self._run.summary["status"] = status
        address = self._run.url
        self._run.finish(exit_code=_EXIT_CODES.get(status, 1))
        return address or f"wandb sync {shlex.quote(str(self._folder))}/wandb/offline-run-*"
