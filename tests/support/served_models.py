"""`ftapp serve-model` as a process, and requests to it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from ftapp.runs.run_folder import RunFolder
from tests.support.quick_starts import make_command


@dataclass
class Server:
    """A server that answers.

    Attributes:
        process: Its process.
        address: The address that it has printed.
        cache: Its cache.
    """

    process: subprocess.Popen[str]
    address: str
    cache: Path

    def post(self, path: str, content: Any = None, **options: Any) -> requests.Response:
        """Send JSON, or what the options of `requests` say."""
        given = {"json": content} if content is not None else {}
        return requests.post(f"{self.address}{path}", timeout=240, **given, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.address}{path}", timeout=240, **options)

    def find_model_process(self) -> psutil.Process:
        """Find the process of the model. Only servers with a cache of their own have one that is found."""
        for process in psutil.process_iter(["cmdline"]):
            if "ftapp.workers.predictor" in (process.info["cmdline"] or ()):
                with suppress(psutil.NoSuchProcess):
                    if process.environ().get("FTAPP_CACHE") == str(self.cache):
                        return process
        raise AssertionError("there is none")


@contextmanager
def serve(run: RunFolder, cache: Path, *options: str, **environment: str) -> Iterator[Server]:
    """Serve a run on a free port, and end the server."""
    process = subprocess.Popen(
        make_command("ftapp.cli", "serve-model", str(run.folder), "--port", "0", *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FTAPP_CACHE": str(cache), **environment},
    )
    assert process.stdout
    address = process.stdout.readline().strip()
    assert address, process.communicate()
    try:
        yield Server(process, address, cache)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=240)
