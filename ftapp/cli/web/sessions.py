"""The sessions of a server: an interface each, which a page that has lost its connection finds again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, web

from ftapp.cli.web.interface import Interface
from ftapp.common.person import Person

MOVED = 4001  # the code by which a page learns that another one has taken its session
TOO_MANY = 4002  # that its person has too many
LOADED_AGAIN_SECONDS = 30.0  # for a page that says that it goes, and may be loaded again
LOST_SECONDS = 300.0  # for a page that has lost its connection

Key = tuple[Person, str]
"""Who has a session, and the name that the page has given it."""


class Session:
    """One interface, and the page that shows it now, if any.

    Attributes:
        person: Who has it.
        interface: The interface.
        is_started: Whether the process of the interface was started.
        showing: Held while a page is connected with the interface. A page may come before the process has started.
    """

    def __init__(self, person: Person, make: Callable[[Session], Interface]) -> None:
        """Make a session.

        Args:
            person: Who has it.
            make: Makes its interface.
        """
        self.person = person
        self.interface = make(self)
        self.is_started = False
        self.showing = asyncio.Lock()
        self._page: web.WebSocketResponse | None = None
        self._leaving: asyncio.TimerHandle | None = None

    @property
    def is_shown(self) -> bool:
        """Whether a page shows it."""
        return self._page is not None

    async def write_bytes(self, data: bytes) -> None:
        """Send to the page what the interface draws. What no page shows is drawn again for the next one."""
        if page := self._page:
            with suppress(ConnectionError):
                await page.send_bytes(data)

    async def write_str(self, data: str) -> None:
        """Send a message to the page."""
        if page := self._page:
            with suppress(ConnectionError):
                await page.send_str(data)

    async def close_page(self, code: int = WSCloseCode.OK) -> None:
        """Tell the page that the interface has ended, or, with another code, why it ends."""
        if page := self._page:
            await page.close(code=code)

    async def take(self, page: web.WebSocketResponse) -> None:
        """Show the session on a page, and no longer on another."""
        if self._leaving:
            self._leaving.cancel()
        former, self._page = self._page, page
        if former:
            await former.close(code=MOVED)

    def leave(self, page: web.WebSocketResponse, end: Callable[[], object]) -> None:
        """Have a page go.

        Args:
            page: The page, whose connection has ended.
            end: Ends the session. It is called when no page has come back in time.
        """
        if self._page is not page:
            return
        self._page = None
        known = {int(WSCloseCode.OK): 0.0, int(WSCloseCode.GOING_AWAY): LOADED_AGAIN_SECONDS}
        seconds = known.get(page.close_code or 0, LOST_SECONDS)
        self._leaving = asyncio.get_running_loop().call_later(seconds, end)


@dataclass(frozen=True)
class SessionLimits:
    """How many sessions there may be at once.

    Attributes:
        most: Of all but the teacher; None for any number.
        per_person: Of one student.
    """

    most: int | None = None
    per_person: int = 3


NO_LIMITS = SessionLimits()


class Sessions:
    """All sessions of a server.

    Attributes:
        limits: How many there may be at once.
    """

    def __init__(self, make: Callable[[Session], Interface], limits: SessionLimits) -> None:
        """Begin without sessions.

        Args:
            make: Makes the interface of a session.
            limits: How many there may be at once.
        """
        self._make, self.limits = make, limits
        self._open: dict[Key, Session] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def has_room(self, person: Person, name: str | None = None) -> bool:
        """Tell whether a person can have a session beside those of others.

        Args:
            person: The person. There is always room for a teacher.
            name: The name of the session; None where the page has not said it yet.
        """
        most = self.limits.most
        if most is None or person.role == "teacher" or (person, name) in self._open:
            return True
        waits = name is None and any(not each.is_shown for each in self._list_own(person))
        return waits or sum(key[0].role != "teacher" for key in self._open) < most

    def has_own_room(self, person: Person, name: str) -> bool:
        """Tell whether a person can have a session beside those that other pages of the person show.

        Args:
            person: The person. The number is limited for students alone.
            name: The name of the session.
        """
        if person.role != "student" or (person, name) in self._open:
            return True
        return sum(each.is_shown for each in self._list_own(person)) < self.limits.per_person

    async def show(self, page: web.WebSocketResponse, person: Person, name: str, size: tuple[int, int]) -> Session:
        """Show a session on a page: the one of this name, or a new one.

        Args:
            page: The page.
            person: Who has opened it.
            name: The name of the session.
            size: The columns and rows of the page's terminal.
        """
        session = self._open.get((person, name))
        if session is None:
            self._end_hidden(person)
            session = self._open[person, name] = Session(person, self._make)
        async with session.showing:
            await session.take(page)
            if session.is_started:
                await session.interface.set_terminal_size(*size)
                await session.interface.redraw()
            else:
                await self._start((person, name), session, size)
        return session

    def leave(self, session: Session, page: web.WebSocketResponse) -> None:
        """Have a page go that has shown a session."""
        session.leave(page, lambda: self._keep(session.interface.end()))

    def _list_own(self, person: Person) -> list[Session]:
        return [each for key, each in self._open.items() if key[0] == person]

    def _end_hidden(self, person: Person) -> None:
        """End the oldest session of a student that no page shows, where another would be one too many."""
        own = self._list_own(person)
        hidden = next((each for each in own if each.is_started and not each.is_shown), None)
        if person.role == "student" and len(own) >= self.limits.per_person and hidden:
            self._keep(hidden.interface.end())

    async def end_all(self) -> None:
        """End all sessions. Their pages come back when the server is started again."""
        await asyncio.gather(*(each.close_page(WSCloseCode.SERVICE_RESTART) for each in self._open.values()))
        await asyncio.gather(*(each.interface.end() for each in self._open.values()), return_exceptions=True)

    async def _start(self, key: Key, session: Session, size: tuple[int, int]) -> None:
        try:
            await session.interface.start(*size)
        except BaseException:  # its place is free for another
            self._open.pop(key, None)
            raise
        session.is_started = True
        self._keep(self._await_end(key, session))

    async def _await_end(self, key: Key, session: Session) -> None:
        await session.interface.ended.wait()
        self._open.pop(key, None)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
