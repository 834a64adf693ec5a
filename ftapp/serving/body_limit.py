"""The most bytes of a request: a middleware that refuses larger bodies before they are in memory."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ftapp.common.formatting import format_size
from ftapp.serving.refusals import RefusedError, refuse


class BodyLimit:
    """Refuses bodies by their Content-Length, and those without one while they come.

    Args:
        app: The application behind it, which answers a RefusedError.
        most: The most bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most
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
        total = 0

        async def receive_counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self._most:
                raise RefusedError(413, self._message)
            return message

        await self._app(scope, receive_counted, send)
