"""A request to a helper process from a command: in a process of its own, since the answer takes Keras."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ftapp.cli.activity import Activity
from ftapp.cli.failure import is_debug
from ftapp.cli.sigterm import end_at_sigterm
from ftapp.common.downloads import Progress
from ftapp.rpc.client import HelperClient

_Answer = TypeVar("_Answer")
_Client = TypeVar("_Client", bound=HelperClient)


def ask_helper(name: str, client: _Client, ask: Callable[[_Client, Progress], Awaitable[_Answer]]) -> _Answer:
    """Ask a helper process, show its progress on stderr, and end it.

    With --debug the process's own output follows on stderr.

    Args:
        name: What it is asked for, in words.
        client: The client of the process, which has not been started.
        ask: Called with the client and with what takes its progress.

    Returns:
        What `ask` has returned.

    Raises:
        RecipeError: The recipe does not fit its model or data.
        RunError: Something cannot be had.
        KeyboardInterrupt: SIGINT or SIGTERM has come, and the process has ended.
    """
    end_at_sigterm()

    async def run(activity: Activity) -> _Answer:
        activity.tell(f"starting {name}", 0, None)
        async with client:
            try:
                return await ask(client, activity.tell)
            finally:
                if is_debug():
                    print(client.read_output(), file=sys.stderr)

    with Activity() as activity:
        return asyncio.run(run(activity))
