"""A Ray cluster of this machine: a head without processors and two nodes with one each, by `ray start`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.processes import find_ports, is_open, wait_for

_START = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
_START += ["--object-store-memory=80000000"]
_STARTED = "Ray runtime started."
_TRIES = 3


@contextmanager
def start_cluster(hidden: Path | None = None) -> Iterator[str]:
    """Start the nodes, and end them after the context.

    Args:
        hidden: A folder of which each node has one of its own in its place, as machines without a shared disk have.

    Yields:
        The target of runs: the server for clients.
    """
    port, client_port = find_ports(2)
    # gRPC's support of forks ends servers of clients now and then (docs/clusters.md).
    environment = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"}
    with ExitStack() as stack:
        # A short path, since that of a socket has at most 107 characters.
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True))
        head = ["--head", f"--port={port}", f"--ray-client-server-port={client_port}", f"--temp-dir={folder}"]
        node = [f"--address=127.0.0.1:{port}", "--num-cpus=1"]
        for number, options in enumerate(([*head, "--num-cpus=0", "--include-dashboard=false"], node, node)):
            start = [*_hide(hidden), *_START, *options]
            _start_node(start, environment, Path(folder) / f"node-{number}.txt", stack)
        wait_for(lambda: is_open(client_port))
        yield f"ray://127.0.0.1:{client_port}"


def _hide(folder: Path | None) -> list[str]:
    """Make the beginning of a command for which another folder lies in the place of this one."""
    if folder is None:
        return []
    return ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs ftapp "$0" && exec "$@"', str(folder)]


def _start_node(command: Sequence[str], environment: Mapping[str, str], told: Path, stack: ExitStack) -> None:
    """Start a node, and again where a busy machine takes longer than the half a minute that Ray gives it."""
    for _ in range(_TRIES):
        with told.open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.terminate)

        def has_started(process: subprocess.Popen[bytes] = process) -> bool:
            return process.poll() is not None or _STARTED in told.read_text("utf-8")

        wait_for(has_started)
        if process.poll() is None:
            return
    raise AssertionError(f"a node of Ray does not start: {told.read_text('utf-8')}")
