"""A request to the inspector from a command: in a process of its own, since the answer takes Keras."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ftapp.cli.activity import Activity
from ftapp.cli.failure import is_debug
from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.rpc.inspector_client import InspectorClient

_Answer = TypeVar("_Answer")


def ask_inspector(
    name: str, ask: Callable[[InspectorClient, Progress], Awaitable[_Answer]], *, offline: bool
) -> _Answer:
    """Ask a new inspector, show its progress on stderr, and end its process.

    With --debug the process's own output follows on stderr.

    Args:
        name: What it is asked for, in words.
        ask: Called with the inspector and with what takes its progress.
        offline: Whether the process makes no network call.

    Returns:
        What `ask` has returned.

    Raises:
        RecipeError: The recipe does not fit its model or data.
        RunError: Something cannot be had.
        KeyboardInterrupt: SIGINT or SIGTERM has come, and the process has ended.
    """
    # asyncio ends what it runs at SIGINT alone.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))

    async def run(activity: Activity) -> _Answer:
        activity.tell(f"starting {name}", 0, None)
        async with InspectorClient(offline=offline) as inspector:
            try:
                return await ask(inspector, activity.tell)
            except OSError as error:
                raise RunError(f"the helper process cannot be started: {error}") from error
            finally:
                if is_debug():
                    print(inspector.read_output(), file=sys.stderr)

    with Activity() as activity:
        return asyncio.run(run(activity))
