"""The most bytes of a request, and the longest time for them: a middleware before bodies are in memory."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ftapp.common.formatting import format_size
from ftapp.serving.refusals import RefusedError, refuse

_SECONDS = 30.0
_RATE = 10_000  # bytes


class BodyLimit:
    """Refuses bodies by their Content-Length, and those without one while they come. Refuses bodies that come slowly.

    Args:
        app: The application behind it, which answers a RefusedError.
        most: The most bytes.
        seconds: The time for a body, beside a second for every 10 kB that have come.
    """

    def __init__(self, app: ASGIApp, most: int, seconds: float = _SECONDS) -> None:
        self._app, self._most, self._seconds = app, most, seconds
        self._message = f"the body is too large; the most is {format_size(most)}, which --max-body sets"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self._most:
            await refuse(413, self._message)(scope, receive, send)
            return
        total, deadline, is_whole = 0, asyncio.get_running_loop().time() + self._seconds, False

        async def receive_counted() -> Message:
            nonlocal total, is_whole
            if is_whole:  # what comes now is the end of the connection
                return await receive()
            try:
                async with asyncio.timeout_at(deadline + total / _RATE):
                    message = await receive()
            except TimeoutError:
                raise RefusedError(
                    408,
                    f"the body comes too slowly: {total:,} bytes so far; it has {self._seconds:g} seconds, and one "
                    f"more for every {_RATE:,} bytes that have come",
                ) from None
            total, is_whole = total + len(message.get("body", b"")), not message.get("more_body", False)
            if total > self._most:
                raise RefusedError(413, self._message)
            return message

        await self._app(scope, receive_counted, send)
