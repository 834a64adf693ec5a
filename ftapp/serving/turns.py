"""Turns of what is done one after another, with a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFullError(Exception):
    """No more can wait."""


class Turns:
    """Lets one task after another have its turn.

    Args:
        capacity: How many tasks wait at most.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity, self._waiting, self._lock = capacity, 0, asyncio.Lock()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it while the context lasts.

        Raises:
            QueueFullError: Too many tasks wait.
        """
        if self._lock.locked() and self._waiting >= self._capacity:
            raise QueueFullError
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._lock.release()
