"""A Ray cluster of this machine: a head without processors and nodes with one each, by `ray start`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.support.processes import end_daemons, find_ports, is_open, start_daemon, wait_for

_START = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
_START += ["--object-store-memory=80000000"]
_STARTED = "Ray runtime started."
_TRIES = 3


@contextmanager
def start_cluster(nodes: int, hidden: Path | None = None) -> Iterator[str]:
    """Start a cluster, and end it after the context.

    Args:
        nodes: The number of nodes beside the head.
        hidden: A folder of which each node has one of its own in its place, as machines without a shared disk have.

    Yields:
        The target of runs: the server for clients.
    """
    port, client_port = find_ports(2)
    # gRPC's support of forks ends servers of clients now and then (docs/clusters.md).
    environment = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"}
    with ExitStack() as stack:
        # A short path, since that of a socket has at most 107 characters.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True)))
        started: list[subprocess.Popen[bytes]] = []
        stack.callback(end_daemons, started)
        head = ["--head", f"--port={port}", f"--ray-client-server-port={client_port}", f"--temp-dir={folder}"]
        start = [*_hide(hidden), *_START]
        _start_node([*start, *head, "--num-cpus=0", "--include-dashboard=false"], environment, folder, started)
        for _ in range(nodes):  # one after another, since those that start at once take ports from each other
            _start_node([*start, f"--address=127.0.0.1:{port}", "--num-cpus=1"], environment, folder, started)
        wait_for(lambda: is_open(client_port))
        yield f"ray://127.0.0.1:{client_port}"


def _hide(folder: Path | None) -> list[str]:
    """Make the beginning of a command for which another folder lies in the place of this one."""
    if folder is None:
        return []
    return ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs ftapp "$0" && exec "$@"', str(folder)]


def _start_node(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    """Start a node, and again if it takes longer than the half a minute that Ray gives it."""
    for _ in range(_TRIES):
        log = folder / f"node-{len(started)}.txt"
        process = start_daemon(command, environment, log)
        started.append(process)
        wait_for(partial(_is_decided, process, log))
        if process.poll() is None:
            return
    raise AssertionError(f"a node of Ray does not start: {log.read_text('utf-8')}")


def _is_decided(process: subprocess.Popen[bytes], log: Path) -> bool:
    """Tell whether a node has started, or has ended."""
    return process.poll() is not None or _STARTED in log.read_text("utf-8")
