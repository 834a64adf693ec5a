"""Runs as tasks of a Ray cluster (https://docs.ray.io). Ray Train is not used: the run itself is as it is elsewhere.

A helper process speaks to the cluster: Ray starts threads and prints, which commands and the interface would suffer
from. It leaves a *keeper* there, an actor that outlives it (`ftapp.launchers.ray_keeper`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ftapp.common.errors import RunError, shorten
from ftapp.common.processes import make_child_environment, make_module_command
from ftapp.common.shell_variables import OF_TERRAFORM
from ftapp.launchers.target import LaunchTarget, make_target_error

_REACH_SECONDS = 5.0
_SUBMIT_SECONDS = 240.0  # half a minute for a client's server and an actor; 40 s for each of two that do not start
_PASSED = ("FTAPP_", "HF_", "KAGGLE", "KERAS_", "TF_", "XLA_")
_KEPT = ("FTAPP_TOKEN",)
_FOLDERS = ("FTAPP_CACHE", "FTAPP_CONFIG", "FTAPP_RUNS", "HF_HOME")  # of this machine alone, without a shared disk


def check_ray(target: LaunchTarget) -> None:
    """Check that Ray is installed and that its cluster answers.

    Args:
        target: The target.

    Raises:
        RecipeError: The package is missing, or nothing listens at the address.
    """
    if importlib.util.find_spec("ray") is None:
        message = "the package 'ray' is not installed; Ray clusters need it: pip install 'ftapp[ray]'"
        raise make_target_error(target.text, message)
    host, _, port = target.place.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()
    except OSError as error:
        message = (
            f"no Ray cluster answers at {target.place} ({error.strerror or error}); the address is that of the head "
            "node, with the port of its server for clients, which is 10001 unless 'ray start' was told another"
        )
        raise make_target_error(target.text, message) from error


class RayEngine:
    """Sends runs to a Ray cluster."""

    def __init__(self, target: LaunchTarget) -> None:
        """Prepare the engine.

        Args:
            target: The cluster and the options of its tasks.
        """
        self._target = target

    def submit(self, folder: Path, launch: str, environment: Mapping[str, str]) -> str:
        """Leave a keeper in the cluster, which has the run done.

        Args:
            folder: The run's folder.
            launch: The word that all attempts of this start have.
            environment: Variables that the run's process gets, beside those of this process that are about ftapp.

        Returns:
            The name of the keeper.

        Raises:
            RunError: The cluster has refused it, or does not answer.
            KeyboardInterrupt: Ctrl-C has ended the helper process.
        """
        kept = _KEPT if self._target.has_shared_disk else (*_KEPT, *_FOLDERS)
        names = (name for name in os.environ if name.startswith(_PASSED) and not name.startswith(OF_TERRAFORM))
        own = {name: os.environ[name] for name in names}
        passed = {key: value for key, value in {**own, **environment}.items() if key not in kept}
        request = {
            "address": self._target.place,
            "is_shared": self._target.has_shared_disk,
            "folder": str(folder),
            "launch": launch,
            "environment": passed,
            "options": dict(self._target.options),
        }
        try:
            done = subprocess.run(
                make_module_command("ftapp.launchers.ray_submit"),
                input=json.dumps(request),
                env=make_child_environment({"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}),
                capture_output=True,
                text=True,
                timeout=_SUBMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RunError(f"the Ray cluster at {self._target.place} has not answered within 4 minutes") from error
        if done.returncode == -signal.SIGINT:  # Ctrl-C reaches all processes of a terminal
            raise KeyboardInterrupt
        if done.returncode:
            last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
            raise RunError(f"the Ray cluster has refused the run: {shorten(''.join(last) or 'it gave no reason')}")
        name = done.stdout.split()[-1]
        if not self._target.has_shared_disk:
            self._start_fetching(folder, name)
        return name

    def _start_fetching(self, folder: Path, name: str) -> None:
        """Start the process that brings the run's files here. It outlives this one.

        When it loses its connection it makes a new one, which loses nothing. So Ray's client does not try for half a
        minute to mend the former one.
        """
        with (folder / "fetch.log").open("ab") as log:
            subprocess.Popen(
                make_module_command("ftapp.launchers.ray_fetch", str(folder), self._target.place, name),
                env=make_child_environment({"RAY_CLIENT_RECONNECT_GRACE_PERIOD": "0"}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
