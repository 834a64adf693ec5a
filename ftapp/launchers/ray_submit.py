"""The helper process that leaves a keeper in a Ray cluster. It reads a request as JSON and prints the keeper's name."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_WAIT_SECONDS = 60.0
_TRIES = 3
_SERVER_LOST = "Starting Ray client server failed"


def main(request: dict[str, Any]) -> str:
    """Leave a keeper in a cluster.

    Args:
        request: The address, and what `ftapp.launchers.ray_keeper.Keeper` is made of.

    Returns:
        The keeper's name.

    Raises:
        SystemExit: The cluster's server for clients could not start a process; with a message.
    """
    import ray

    from ftapp.launchers.ray_keeper import make_keeper

    _connect(request["address"])
    try:
        name = f"{Path(request['folder']).name}-{request['launch']}"
        keeper = make_keeper(name, request["folder"], request["launch"], request["environment"], request["options"])
        ray.get(keeper.answer.remote(), timeout=_WAIT_SECONDS)
    finally:
        ray.shutdown()
    return name


def _connect(address: str) -> None:
    """Connect to a cluster.

    Its server for clients forks a process for each client, which gRPC's threads may end at once
    (https://github.com/ray-project/ray/issues/63202). So a client tries again: nothing was sent yet.
    """
    import ray

    from ftapp.launchers.ray_keeper import NAMESPACE

    for _ in range(_TRIES):
        try:
            ray.init(address, namespace=NAMESPACE, log_to_driver=False)
            return
        except ConnectionError as error:
            if _SERVER_LOST not in str(error):
                raise
    sys.exit(
        f"its server for clients could not start a process, {_TRIES} times; this is issue 63202 of Ray: start the head "
        "with GRPC_ENABLE_FORK_SUPPORT=0 in its environment, or name it as ray:HOST:PORT from a machine of the cluster"
    )


if __name__ == "__main__":
    print(main(json.load(sys.stdin)), flush=True)
