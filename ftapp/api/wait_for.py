"""Answers of helper processes for code that is not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


def wait_for(coroutine: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Run a coroutine to its end in an event loop of its own, also in a notebook, whose thread runs one already.

    Args:
        coroutine: The coroutine.

    Returns:
        What the coroutine returns.

    Raises:
        KeyboardInterrupt: Ctrl-C has come, and the coroutine is cancelled and has ended.
    """
    found: Future[_Answer] = Future()
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)

    def run() -> None:
        try:
            found.set_result(loop.run_until_complete(task))
        except BaseException as error:
            found.set_exception(error)
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="ftapp-helper")
    thread.start()
    try:
        return found.result()
    except KeyboardInterrupt:
        if not found.done():
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
