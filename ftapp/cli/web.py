"""The terminal interface in a browser: each page that is opened has an interface of its own, in a process of its own.

A visitor of an interface can start runs and read files. So the server answers only visitors who know its token, which
stands in the address that it prints and is a cookie from the first visit on; only under its own names, which keeps away
web sites whose name has been made to lead here; only pages that it has served itself; and in no other page's frame.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web
from textual_serve.server import Server

from ftapp.common.web_access import HEADERS, TOKEN_VARIABLE, WebAccess, format_address, make_token

_FOCUS = """<script>
  // The terminal has the keys from its first picture on, and when one comes back to the page.
  const takeKeys = () => document.querySelector(".xterm-helper-textarea")?.focus();
  new MutationObserver((_, observer) => {
    if (document.body.classList.contains("-first-byte")) {
      takeKeys();
      observer.disconnect();
    }
  }).observe(document.body, { attributeFilter: ["class"] });
  window.addEventListener("focus", takeKeys);
</script>"""
_HEADERS = {**HEADERS, "Content-Security-Policy": "frame-ancestors 'none'"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer(Server):
    """Serves until SIGINT or SIGTERM, and ends the interfaces that are open then."""

    def __init__(
        self, words: Sequence[str], host: str, port: int, names: Sequence[str] = (), token: str | None = None
    ) -> None:
        """Prepare a server; `serve` starts it.

        Args:
            words: The command that opens the interface.
            host: The name or address to listen on.
            port: The port to listen on.
            names: Names under which it is reached beside those of the host, such as that of a proxy before it.
            token: What a visitor has to know; by default a new one, which the printed address holds.
        """
        super().__init__(shlex.join(words), host=host, port=port, title="ftapp")
        self._open: set[asyncio.Task[Any]] = set()
        self._shown_token = f"${TOKEN_VARIABLE}" if token else ""
        self._token = token or make_token()
        self._access = WebAccess(host, names, self._token)
        self._cookie = f"ftapp-{port}"  # a browser keeps the cookies of all ports of a machine together

    def serve(self, debug: bool = False) -> None:
        """Answer requests until SIGINT or SIGTERM comes.

        Args:
            debug: Whether Textual's own tools for developers are connected.

        Raises:
            OSError: The address cannot be listened on.
        """
        self.debug = debug
        logging.basicConfig(level="DEBUG" if debug else "WARNING", format="%(message)s")
        web.run_app(
            self._make_app(), host=self.host, port=self.port, print=self._announce, access_log=None, shutdown_timeout=5
        )

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        app.on_response_prepare.append(_add_headers)
        return app

    def _announce(self, *_: object) -> None:
        address = f"{format_address(self.host, self.port)}/?token={self._shown_token or self._token}"
        print(f"ftapp is at {address} ; Ctrl-C ends it, and runs go on", file=sys.stderr, flush=True)

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing yet: `_announce` prints the address once the server listens."""

    async def on_shutdown(self, app: web.Application) -> None:
        """End the interfaces that are open."""
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def handle_index(self, request: web.Request) -> Any:
        """Answer with the page that holds the terminal."""
        # The page is told to come back the way it came, which may be a forwarded port.
        self.public_url = f"{request.scheme}://{request.host}"
        page: Any = await super().handle_index(request)
        page.text = page.text.replace("</body>", f"{_FOCUS}</body>")
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Connect a page with an interface of its own."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            return await super().handle_websocket(request)
        finally:
            self._open.discard(task)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer only visitors who know the token. A page that is opened with it goes on without it in its address."""
        self._check_page(request)
        given = request.query.get("token")
        if given is None:
            self._check_token(request.cookies.get(self._cookie, ""))
            return await handler(request)
        self._check_token(given)
        if request.path != "/":
            return await handler(request)
        kept = {name: value for name, value in request.query.items() if name != "token"}
        # A relative address, since a proxy before this server may be reached by another name.
        response = web.Response(status=303, headers={"Location": str(request.rel_url.with_query(kept))})
        secure = request.scheme == "https"
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict", secure=secure, path="/")
        return response

    def _check_token(self, given: str) -> None:
        if not self._access.is_known(given):
            raise web.HTTPForbidden(text="ftapp answers whoever opens the address that `ftapp serve` has printed")

    def _check_page(self, request: web.Request) -> None:
        """Refuse names that are not this server's, and pages of others."""
        if fault := self._access.find_fault(request.host, request.headers.get("Origin")):
            raise web.HTTPForbidden(text=fault)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
