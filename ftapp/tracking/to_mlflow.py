"""Runs of MLflow, through its own client."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlsplit

from ftapp.common.locks import hold_lock
from ftapp.runs.history import History
from ftapp.tracking.tracker import Numbers, Sample, TrackedRun

_MOST_METRICS, _MOST_PARAMETERS, _LONGEST_PARAMETER = 1000, 100, 500  # of one request, as servers take them
_LOCAL = ("", "file", "sqlite")  # the schemes of addresses on this machine
# A server that never answers is given up after a minute; the client's own values let the others wait for 20.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}
_STATES = {"done": "FINISHED", **dict.fromkeys(("interrupted", "unfinished", "pruned"), "KILLED")}


class MlflowTracker:
    """Sends numbers and samples to an experiment of MLflow."""

    def start(self, run: TrackedRun, target: str, former: str) -> str:
        """Begin the run, or go on with it.

        Runs that begin at the same time make the tables of one file one after another: MLflow does not lock it.
        """
        place = run.folder.parent
        self._address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{place}/mlflow.db"
        if urlsplit(self._address).scheme not in _LOCAL:
            run.check_online()
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        is_local = self._address.startswith("sqlite:")
        with hold_lock(place / "mlflow.lock", fcntl.LOCK_EX) if is_local else nullcontext():
            return self._begin(run, target, former, (place / "mlartifacts").as_uri() if is_local else None)

    def _begin(self, run: TrackedRun, target: str, former: str, artifacts: str | None) -> str:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=self._address)
        if former:
            self._id = former
            self._client.update_run(former, status="RUNNING")
            return former
        found = self._client.get_experiment_by_name(target)
        experiment = found.experiment_id if found else self._client.create_experiment(target, artifacts)
        self._id = self._find(experiment, run) or self._create(experiment, run)
        parameters = [Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in run.config.items()]
        for part in _split(parameters, _MOST_PARAMETERS):
            self._client.log_batch(self._id, params=part)
        return self._id

    def _find(self, experiment: str, run: TrackedRun) -> str | None:
        """Find the run where an earlier attempt has made it and got no further."""
        found = self._client.search_runs([experiment], f"tags.`ftapp.run` = '{run.name}'", max_results=1)
        return str(found[0].info.run_id) if found else None

    def _create(self, experiment: str, run: TrackedRun) -> str:
        tags = {"ftapp.run": run.name, "ftapp.experiment": run.group, "ftapp.arm": run.job}
        known = {name: value for name, value in tags.items() if value}
        start = int(run.created * 1000)
        return str(self._client.create_run(experiment, start, known, run.name).info.run_id)

    def send(self, records: Sequence[Numbers | Sample]) -> None:
        """Send numbers in batches, and samples as text files."""
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, int(each.time * 1000), each.step)
            for each in records
            if isinstance(each, Numbers)
            for name, value in each.named.items()
        ]
        for part in _split(metrics, _MOST_METRICS):
            self._client.log_batch(self._id, metrics=part)
        for number, each in enumerate(records):
            if isinstance(each, Sample):
                self._client.log_text(self._id, each.text, f"samples/step-{each.step:06}-{number:03}.txt")

    def finish(self, history: History, status: str) -> str:
        """Set the status of the run."""
        end = int(history.ended.time * 1000) if history.ended else None
        self._client.set_terminated(self._id, _STATES.get(status, "FAILED"), end)
        if self._address.startswith("http"):
            experiment = self._client.get_run(self._id).info.experiment_id
            return f"{self._address.rstrip('/')}/#/experiments/{experiment}/runs/{self._id}"
        return f"mlflow ui --backend-store-uri {self._address}"


def _split(items: list[Any], most: int) -> Iterator[list[Any]]:
    return (items[first : first + most] for first in range(0, len(items), most))
