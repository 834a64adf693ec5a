"""Who is answered by a served model: a middleware before all of its paths."""

from __future__ import annotations

import secrets
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ftapp.common.web_access import HEADERS, WebAccess
from ftapp.serving.refusals import refuse

# The page about the interface has a script and styles in its text; nothing comes from elsewhere.
_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'"
)
_OPEN = ("/health",)
"""What those who watch over servers ask without a token."""


class Gate:
    """Refuses requests under foreign names, of foreign pages, and of those who do not know the token.

    Programs give the token as `Authorization: Bearer TOKEN`. A browser that opens a page with `?token=TOKEN` keeps it
    as a cookie.

    Args:
        app: The application behind it.
        access: The names and the token of the server.
    """

    def __init__(self, app: ASGIApp, access: WebAccess) -> None:
        self._app, self._access = app, access
        self._cookie = f"ftapp-model-{secrets.token_hex(4)}"  # a browser keeps cookies of all ports together

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**HEADERS, "Content-Security-Policy": _POLICY})
            await send(message)

        await (self._check(request) or self._app)(scope, receive, send_with_headers)

    def _check(self, request: Request) -> Response | None:
        """Return the answer to a request that does not reach the application."""
        if fault := self._access.find_fault(request.headers.get("host", ""), request.headers.get("origin")):
            return refuse(403, fault)
        if self._access.token is None or request.url.path in _OPEN:
            return None
        given = request.query_params.get("token")
        if given is not None and request.method == "GET" and self._access.is_known(given):
            kept = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
            # A relative address, since a proxy before this server may be reached by another name.
            response = RedirectResponse(request.url.path + (f"?{urlencode(kept)}" if kept else ""), 303)
            secure = request.url.scheme == "https"
            response.set_cookie(
                self._cookie, self._access.token, httponly=True, samesite="strict", secure=secure, path="/"
            )
            return response
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        shown = token.strip() if scheme.lower() == "bearer" else request.cookies.get(self._cookie, "")
        if self._access.is_known(shown):
            return None
        rule = "the header 'Authorization: Bearer TOKEN' has the token that `ftapp serve-model` printed"
        return refuse(401, f"the token is wrong or missing; {rule}", {"WWW-Authenticate": "Bearer"})
