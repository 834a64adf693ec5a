"""The helper process that leaves a keeper in a Ray cluster. It reads a request as JSON and prints the keeper's name."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_WAIT_SECONDS = 60.0


def main(request: dict[str, Any]) -> str:
    """Leave a keeper in a cluster.

    Args:
        request: The address, and what `ftapp.launchers.ray_keeper.Keeper` is made of.

    Returns:
        The keeper's name.
    """
    import ray

    from ftapp.launchers.ray_keeper import NAMESPACE, make_keeper

    ray.init(request["address"], namespace=NAMESPACE, log_to_driver=False)
    try:
        name = f"{Path(request['folder']).name}-{request['launch']}"
        keeper = make_keeper(name, request["folder"], request["launch"], request["environment"], request["options"])
        ray.get(keeper.answer.remote(), timeout=_WAIT_SECONDS)
    finally:
        ray.shutdown()
    return name


if __name__ == "__main__":
    print(main(json.load(sys.stdin)), flush=True)
