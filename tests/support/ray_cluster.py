"""A Ray cluster of this machine: a head without processors and two nodes with one each, by `ray start`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support.processes import find_ports, is_open, wait_for

_START = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
_START += ["--object-store-memory=80000000"]


@contextmanager
def start_cluster() -> Iterator[str]:
    """Start the nodes, and end them after the context. Yields the target of runs: the server for clients."""
    port, client_port = find_ports(2)
    # gRPC's support of forks ends servers of clients now and then (docs/clusters.md).
    environment = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"}
    with ExitStack() as stack:
        # A short path, since that of a socket has at most 107 characters.
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True))
        head = ["--head", f"--port={port}", f"--ray-client-server-port={client_port}", f"--temp-dir={folder}"]
        node = [f"--address=127.0.0.1:{port}", "--num-cpus=1"]
        for options in ([*head, "--num-cpus=0", "--include-dashboard=false"], node, node):
            command = [*_START, *options]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            wait_for(lambda: is_open(port) and is_open(client_port))
        yield f"ray://127.0.0.1:{client_port}"
