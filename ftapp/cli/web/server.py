"""The terminal interface in a browser: each page that is opened has an interface of its own, in a process of its own.

A visitor of an interface can start runs and read files. So the server answers only visitors who know a token, which
stands in the links that it prints and is a cookie from the first visit on; only under its own names, which keeps away
web sites whose name has been made to lead here; only pages that it has served itself; and in no other page's frame.
"""

from __future__ import annotations

import asyncio
import html
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from string import Template
from typing import Any

from aiohttp import WSCloseCode, web
from aiohttp.http_exceptions import HttpProcessingError
from textual_serve.server import Server, to_int
from yarl import URL

from ftapp.cli.web.interface import Interface, InterfaceOptions, limit_size, start_forking
from ftapp.cli.web.links import NEWCOMER, Links
from ftapp.cli.web.sessions import NO_LIMITS, TOO_MANY, Session, SessionLimits, Sessions
from ftapp.common.person import Person
from ftapp.common.processes import secure_this_process
from ftapp.common.safe_files import UNREADABLE
from ftapp.common.web_access import (
    HEADER_SECONDS,
    HEADERS,
    TOKEN_VARIABLE,
    WebAccess,
    find_reachable_host,
    format_address,
)

_HEADERS = {**HEADERS, "Content-Security-Policy": "frame-ancestors 'none'"}
# A file of a visitor opens as a page of nobody's: its scripts reach nothing of this server.
_FILE_HEADERS = {**HEADERS, "Content-Security-Policy": "frame-ancestors 'none'; sandbox allow-scripts allow-popups"}
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='3' fill='%231f5f8b'/%3E%3Cpath d='M4 13V3h8M4 8h6' fill='none' stroke='white' stroke-width='2'/%3E%3C/svg%3E"
)
_HERE = Path(__file__).parent
_RETRY_SECONDS = 30
_PING_SECONDS = 15.0  # after which a connection without an answer counts as lost

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer(Server):
    """Serves until SIGINT or SIGTERM, and ends the interfaces that are open then."""

    def __init__(
        self,
        options: InterfaceOptions,
        links: Links | None,
        host: str,
        port: int,
        names: Sequence[str] = (),
        *,
        limits: SessionLimits = NO_LIMITS,
        hides_token: bool = False,
    ) -> None:
        """Prepare a server; `serve` starts it.

        Args:
            options: What interfaces are opened with.
            links: Its links; None where everybody who reaches it may do everything.
            host: The name or address to listen on.
            port: The port to listen on.
            names: Names under which it is reached beside those of the host, such as that of a proxy before it.
            limits: How many sessions there may be at once.
            hides_token: Whether the first link is printed with the name of the variable that holds its token.
        """
        super().__init__("ftapp", host=host, port=port, title="ftapp")
        self._options, self._links, self._hides_token = options, links, hides_token
        self._access = WebAccess(host, names, None)
        self._sessions = Sessions(self._make_interface, limits)
        self._cookie = f"ftapp-{port}"  # a browser keeps the cookies of all ports of a machine together

    def serve(self, debug: bool = False) -> None:
        """Answer requests until SIGINT or SIGTERM comes.

        Args:
            debug: Whether Textual's own tools for developers are connected.

        Raises:
            OSError: The address cannot be listened on.
        """
        logging.basicConfig(level="DEBUG" if debug else "WARNING", format="%(message)s")
        if not debug:
            logging.getLogger("aiohttp.server").addFilter(_is_of_server)
        secure_this_process()
        web.run_app(
            self._make_app(),
            host=self.host,
            port=self.port,
            print=self._announce,
            access_log=None,
            shutdown_timeout=5,
            keepalive_timeout=HEADER_SECONDS,
        )

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.add_routes([web.post("/", self._take_name), web.get("/ws/{session:[0-9a-f]{1,64}}", self.handle_websocket)])
        app.middlewares.append(self._guard)
        app.on_response_prepare.append(_add_headers)
        return app

    def _announce(self, *_: object) -> None:
        """Print the links, once the server listens."""
        address = f"{format_address(find_reachable_host(self.host), self.port)}/"
        links = self._links
        ending = "Ctrl-C ends it, and runs go on"
        if links is None:
            lines = [f"ftapp is at {address} ; {ending}"]
        else:
            host_token = f"${TOKEN_VARIABLE}" if self._hides_token else links.host_token
            lines = [f"ftapp is at {address}?token={host_token} ; {ending}"]
            if links.is_class:
                lines[0] = f"teacher: {address}?token={host_token} ; {ending}"
            lines += [
                f"{name or 'students'}: {address}?token={token}" for name, token in links.list_student_tokens().items()
            ]
            lines.append(f"to watch only: {address}?token={links.viewer_token}")
        print("\n".join(lines), file=sys.stderr, flush=True)
        start_forking()

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing yet: `_announce` prints the links once the server listens."""

    async def on_shutdown(self, app: web.Application) -> None:
        """End the interfaces that are open."""
        await self._sessions.end_all()

    def _make_interface(self, session: Session) -> Interface:
        return Interface(
            self._options,
            session.person,
            self.download_manager,
            write_bytes=session.write_bytes,
            write_str=session.write_str,
            close=session.close_page,
        )

    async def handle_index(self, request: web.Request) -> Any:
        """Answer with the page that holds the terminal, or with one that says why there is none yet."""
        person = self._find_person(request)
        if person == NEWCOMER:
            return _ask_for_name()
        if not self._sessions.has_room(person):
            return _explain_full(self._sessions.limits.most)
        who = "watching" if person.role == "viewer" else person.name
        page = _fill("page.html", title=html.escape(f"ftapp: {who}" if who else "ftapp"))
        return web.Response(text=page, content_type="text/html")

    async def _take_name(self, request: web.Request) -> web.Response:
        """Give a student the name that was typed."""
        if self._find_person(request) != NEWCOMER or self._links is None:
            raise web.HTTPSeeOther("./")
        try:
            async with asyncio.timeout(HEADER_SECONDS):
                wanted = (await request.post()).get("name", "")
        except (LookupError, TimeoutError, ValueError):
            raise web.HTTPBadRequest(text="this is no form of ftapp's page") from None
        typed = wanted if isinstance(wanted, str) else ""
        token, wrong = self._links.take_name(typed)
        return self._welcome(request, token) if token else _ask_for_name(wrong, typed)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Connect a page with its session."""
        person = self._find_person(request)
        name = request.match_info.get("session", "")
        if person == NEWCOMER:
            raise web.HTTPForbidden(text="say a name first")
        if not self._sessions.has_room(person, name):
            return _explain_full(self._sessions.limits.most)  # type: ignore[return-value]
        page = web.WebSocketResponse(heartbeat=_PING_SECONDS)
        await page.prepare(request)
        size = [to_int(request.query.get(key, ""), usual) for key, usual in (("width", 80), ("height", 24))]
        if not self._sessions.has_room(person, name):  # others have come meanwhile
            await page.close(code=WSCloseCode.TRY_AGAIN_LATER)
            return page
        if not self._sessions.has_own_room(person, name):
            await page.close(code=TOO_MANY)
            return page
        session = await self._sessions.show(page, person, name or f"{id(page)}", limit_size(*size))
        try:
            await self._process_messages(page, session.interface)
        except (AssertionError, AttributeError, LookupError, TypeError, *UNREADABLE):  # no message of ftapp's page
            await page.close()
        except ConnectionError:  # the interface has ended
            await page.close()
        finally:
            self._sessions.leave(session, page)
        return page

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer only visitors who know a token. A page that is opened with it goes on without it in its address."""
        if fault := self._access.find_fault(request.host, request.headers.get("Origin")):
            raise _refuse(fault)
        person, given = self._find_person(request), request.query.get("token")
        if self._links is None or given is None or request.path != "/":
            return await handler(request)
        kept = request.cookies.get(self._cookie, "")
        known = self._links.find_person(kept)
        if person == NEWCOMER and known and known.role == "student":
            given = kept  # a student who opens the link once more keeps the name
        return self._welcome(request, given)

    def _find_person(self, request: web.Request) -> Person:
        """Find who has sent a request, by the token in its address or its cookie."""
        if self._links is None:
            return Person()
        person = self._links.find_person(request.query.get("token", request.cookies.get(self._cookie, "")))
        if person is None:
            raise _refuse(
                "This is no link of this server. Open a link that `ftapp serve` has printed. Where the server has been "
                "started again since, ask for the new link."
            )
        return person

    def _welcome(self, request: web.Request, token: str) -> web.Response:
        """Give a visitor the cookie, and the page without the token in its address."""
        kept = {name: value for name, value in request.query.items() if name != "token"}
        # A relative address, since a proxy before this server may be reached by another name and below another path.
        response = web.Response(status=303, headers={"Location": str(URL("./").with_query(kept))})
        secure = "https" in (request.scheme, request.headers.get("X-Forwarded-Proto", ""))
        response.set_cookie(self._cookie, token, httponly=True, samesite="Strict", secure=secure, path="/")
        return response


def _ask_for_name(wrong: str = "", typed: str = "") -> web.Response:
    content = f"""<form method="post" action="./"><p class="wrong">{html.escape(wrong)}</p>
<p><label for="name">Your name, under which your runs are listed:</label></p>
<p><input id="name" name="name" value="{html.escape(typed[:24])}" maxlength="24" autofocus autocomplete="off">
<button>Go on</button></p></form>"""
    return _make_notice(content)


def _explain_full(most: int | None) -> web.Response:
    content = (
        f"<p>All {most} places are taken. This page looks again every {_RETRY_SECONDS} seconds. A place is free when "
        "someone closes the interface with q.</p>"
    )
    head = f'<meta http-equiv="refresh" content="{_RETRY_SECONDS}">'
    return _make_notice(content, head, status=503, headers={"Retry-After": str(_RETRY_SECONDS)})


def _refuse(reason: str) -> web.HTTPForbidden:
    page = _fill("notice.html", head="", content=f"<p>{html.escape(reason, quote=False)}</p>")
    return web.HTTPForbidden(text=page, content_type="text/html")


def _make_notice(content: str, head: str = "", **how: Any) -> web.Response:
    return web.Response(text=_fill("notice.html", content=content, head=head), content_type="text/html", **how)


def _fill(name: str, **parts: str) -> str:
    return Template((_HERE / name).read_text("utf-8")).substitute(parts, icon=_ICON)


def _is_of_server(record: logging.LogRecord) -> bool:
    """Tell whether an error is of this server: what comes and is no HTTP is answered, and worth no traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_FILE_HEADERS if request.path.startswith("/download/") else _HEADERS)
