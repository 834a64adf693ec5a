"""The helper process that leaves a keeper or a relay in a Ray cluster. It reads a request as JSON and prints a name."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_TRIES = 3
_SERVER_LOST = "Starting Ray client server failed"


def main(request: dict[str, Any]) -> str:
    """Leave a keeper in a cluster; a relay, where the cluster does not see the run's folder.

    Args:
        request: The address, whether a disk is shared, and what the keeper is made of.

    Returns:
        The name of the actor.

    Raises:
        SystemExit: The cluster's server for clients could not start a process, or the cluster does not see the folder;
            with a message.
    """
    import ray

    from ftapp.launchers.ray_keeper import ANSWER_SECONDS, explain_missing, make_keeper
    from ftapp.launchers.ray_relay import make_relay

    folder, launch = Path(request["folder"]), request["launch"]
    arguments = launch, request["environment"], request["options"]
    connect(request["address"])
    try:
        if not request["is_shared"]:
            name = folder.name
            make_relay(folder, *arguments)
        else:
            name = f"{folder.name}-{launch}"
            keeper = make_keeper(name, str(folder), *arguments)
            if not ray.get(keeper.has_begun.remote(), timeout=ANSWER_SECONDS):
                ray.kill(keeper)
                sys.exit(explain_missing(str(folder), "the head node"))
    finally:
        ray.shutdown()
    return name


def connect(address: str) -> None:
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
