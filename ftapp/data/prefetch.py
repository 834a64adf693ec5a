"""Batches made ahead on a thread of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Key = TypeVar("_Key")
_Batch = TypeVar("_Batch")

_AHEAD = 2  # batches


def prefetch(make: Callable[[_Key], _Batch], keys: Iterator[_Key]) -> Iterator[_Batch]:
    """Make batches ahead on another thread while the caller computes.

    Args:
        make: Makes the batch of a key.
        keys: The keys in order.

    Yields:
        The batch of each key in turn.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
        waiting: deque[Future[_Batch]] = deque()
        try:
            for key in keys:
                waiting.append(pool.submit(make, key))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
