"""The terminal interface in a browser: each page that is opened has an interface of its own, in a process of its own.

Whoever reaches the server can start runs and read files, so it answers only pages that it has served itself: a web
site that is open in the same browser may address it, but under a name or from an origin that give it away.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class WebServer(Server):
    """Serves until SIGINT or SIGTERM, and ends the interfaces that are open then."""

    def __init__(self, words: Sequence[str], host: str, port: int) -> None:
        """words: the command that opens the interface; host: the name or address to listen on."""
        super().__init__(shlex.join(words), host=host, port=port, title="ftapp")
        self._open: set[asyncio.Task[Any]] = set()

    def serve(self, debug: bool = False) -> None:
        """Raises OSError when the address cannot be listened on. debug: as Textual's own servers have it."""
        self.debug = debug
        logging.basicConfig(level="DEBUG" if debug else "WARNING", format="%(message)s")
        web.run_app(
            self._make_app(), host=self.host, port=self.port, print=self._announce, access_log=None, shutdown_timeout=5
        )

    def _announce(self, *_: object) -> None:
        host = f"[{self.host}]" if ":" in self.host else self.host
        print(f"ftapp is at http://{host}:{self.port}; Ctrl-C ends it, and runs go on", file=sys.stderr, flush=True)

    async def on_startup(self, app: web.Application) -> None:
        """It is announced once it listens."""

    async def on_shutdown(self, app: web.Application) -> None:
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def handle_index(self, request: web.Request) -> Any:
        self._check(request)
        # The page is told to come back the way it came, which may be a forwarded port.
        self.public_url = f"{request.scheme}://{request.host}"
        return await super().handle_index(request)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        self._check(request)
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            return await super().handle_websocket(request)
        finally:
            self._open.discard(task)

    def _check(self, request: web.Request) -> None:
        """Refuse pages of others."""
        name = urlsplit(f"//{request.host}").hostname
        if self.host in LOOPBACK and name not in LOOPBACK:
            raise web.HTTPForbidden(text=f"ftapp answers as localhost here; it was called {name}")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text=f"ftapp answers pages of its own; this one is of {origin}")
