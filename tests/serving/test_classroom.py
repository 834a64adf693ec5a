"""`ftapp serve --class` as a real process: its links, names and places, and pages that come back."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from ftapp.cli.app import app
from ftapp.cli.web.class_record import RESERVED_SECONDS, ClassRecord
from ftapp.cli.web.links import NEWCOMER, Links, find_wrong_name
from ftapp.common.person import Person
from ftapp.experiments.queue import Queue
from ftapp.experiments.queue_entries import Limits
from tests.tui.test_serve import first_frame, gone

TOKEN = "a token of some length"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Room:
    """A server with two places."""

    process: asyncio.subprocess.Process
    links: Mapping[str, str]
    runs: Path

    @property
    def url(self) -> str:
        return self.links["students"].partition("?")[0]

    def interfaces(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return [each for child in children for each in child.children()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    runs = tmp_path_factory.mktemp("room") / "runs"
    environment = {**os.environ, "FTAPP_CONFIG": str(runs.parent), "HOME": str(runs.parent)}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [
        "--class",
        "--port",
        str(port),
        "--sessions",
        "2",
        "--sessions-per-person",
        "1",
        "--runs-at-once",
        "3",
        "--runs-dir",
        str(runs),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ftapp.cli", "serve", *words, stderr=asyncio.subprocess.PIPE, env=environment
    )
    assert process.stderr
    printed = ""
    while "to watch only" not in printed:
        printed += (await process.stderr.readline()).decode()
    links = dict(re.findall(r"^(\w[\w ]*): (http\S+)", printed, re.MULTILINE))
    yield Room(process, links, runs)
    process.send_signal(signal.SIGTERM)
    assert "Traceback" not in (await process.stderr.read()).decode()
    assert await process.wait() == 0
    assert Queue.of(runs).read_limits() == Limits()


def browser() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def enter(session: aiohttp.ClientSession, room: Room, name: str) -> str:
    """Open the students' link, say a name, and return the page that follows."""
    async with session.get(room.links["students"]) as page:
        assert "Your name" in await page.text()
    async with session.post(room.url, data={"name": name}) as page:
        return await page.text()


async def receive_end(page: aiohttp.ClientWebSocketResponse) -> int:
    """Read until the server closes a page, and return the code."""
    while (message := await page.receive()).type is not aiohttp.WSMsgType.CLOSE:
        assert message.type is aiohttp.WSMsgType.BINARY
    return int(message.data)


async def test_students_say_a_name_once(room: Room) -> None:
    assert Queue.of(room.runs).read_limits() == Limits(at_once=3, per_person=1)
    async with browser() as ana, browser() as other:
        assert 'id="terminal"' in await enter(ana, room, "  Ana   Lu ")
        async with ana.get(room.links["students"]) as page:  # once more: the name stays
            assert 'id="terminal"' in await page.text()
        taken = await enter(other, room, "ana lu")
        assert "ana lu is taken" in taken
        async with other.post(room.url, data={"name": "<b>"}) as page:
            assert "is no name" in (text := await page.text())
            assert "<b>" not in text
        async with other.post(room.url, data={"name": "ben"}, headers={"Origin": "http://elsewhere"}) as page:
            assert page.status == 403
        async with other.post(room.url, data={"name": "ben"}, headers={"Origin": "http://[::1"}) as page:
            assert page.status == 403
        for kind in ("multipart/form-data", "application/x-www-form-urlencoded; charset=none"):
            async with other.post(room.url, data=b"name=ben", headers={"Content-Type": kind}) as page:
                assert page.status == 400
        async with other.post(room.url, data={"name": ""}) as page:  # a guest
            assert 'id="terminal"' in await page.text()
        async with ana.ws_connect(f"{room.url}ws/a1?width=120&height=36") as page:
            assert "Ana Lu" in await first_frame(page, "vgg16-two-phase")
            await page.close()
        await gone(room.interfaces())


async def test_who_has_not_said_a_name_has_no_interface(room: Room) -> None:
    async with browser() as session:
        await session.get(room.links["students"])
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"{room.url}ws/b1")
        assert caught.value.status == 403


async def test_what_is_no_request_is_refused(room: Room) -> None:
    async with browser() as session, session.get(room.url, params={"token": "x" * 70_000}) as page:
        assert page.status == 400


async def test_who_watches_is_told_so(room: Room) -> None:
    async with browser() as session:
        async with session.get(room.links["to watch only"]) as page:
            assert 'id="terminal"' in await page.text()
        async with session.ws_connect(f"{room.url}ws/c1?width=120&height=36") as page:
            assert "only watching" in await first_frame(page, "only watching")
            await page.close()
        await gone(room.interfaces())


async def test_a_page_that_comes_back_finds_its_session(room: Room) -> None:
    async with browser() as session:
        await enter(session, room, "cleo")
        address = f"{room.url}ws/d1?width=120&height=36"
        page = await session.ws_connect(address)
        await first_frame(page, "vgg16-two-phase")
        (process,) = room.interfaces()
        await page.send_json(["stdin", "2"])
        await first_frame(page, "There are no runs yet")
        await page.close(code=aiohttp.WSCloseCode.GOING_AWAY)  # as a page says that is loaded again
        again = await session.ws_connect(address)
        assert "There are no runs yet" in await first_frame(again, "There are no runs yet")
        assert room.interfaces() == [process]
        # Another page that takes the session over: the former one learns that it has moved.
        third = await session.ws_connect(address)
        await first_frame(third, "There are no runs yet")
        assert await receive_end(again) == 4001
        await third.send_json(["resize", {"width": 10**9, "height": 10**9}])  # drawn within bounds
        await third.send_json(["stdin", 5])  # no message of a page
        assert await receive_end(third) == aiohttp.WSCloseCode.OK
        await gone([process])


async def test_a_report_opens_in_the_browser_as_a_page_of_nobody(room: Room) -> None:
    folder = room.runs / "20260101-101010-tiny-abcd"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<h1>tiny</h1>")
    async with browser() as session:
        await session.get(room.links["to watch only"])
        async with session.ws_connect(f"{room.url}ws/a5?width=120&height=36") as page:
            await first_frame(page, "only watching")
            await page.send_json(["stdin", "2"])
            await first_frame(page, "tiny-abcd")
            await page.send_json(["stdin", "e"])
            while (message := await page.receive()).type is not aiohttp.WSMsgType.TEXT:
                assert message.type is aiohttp.WSMsgType.BINARY
            what, key = message.json()
            assert what == "deliver_file_start"
            async with session.get(f"{room.url}download/{key}") as report:
                assert await report.text() == "<h1>tiny</h1>"
                assert "sandbox" in report.headers["Content-Security-Policy"]
                assert folder.name in report.headers["Content-Disposition"]
            await page.close()
        await gone(room.interfaces())
    shutil.rmtree(folder)


async def test_pages_that_come_before_their_session_has_started_share_it(room: Room) -> None:
    async with browser() as session:
        await enter(session, room, "fay")
        pages = await asyncio.gather(*(session.ws_connect(f"{room.url}ws/f1?width=120&height=36") for _ in range(3)))
        ends = [asyncio.create_task(receive_end(page)) for page in pages]
        done, waiting = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 2:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert [each.result() for each in done] == [4001, 4001]
        (process,) = room.interfaces()
        for each, page in zip(ends, pages, strict=True):
            if each in waiting:
                each.cancel()
            await page.close()
        await gone([process])


async def test_no_more_sessions_of_a_student_than_may(room: Room) -> None:
    async with browser() as gil:
        await enter(gil, room, "gil")
        first = await gil.ws_connect(f"{room.url}ws/a7")
        await first_frame(first, "vgg16")
        second = await gil.ws_connect(f"{room.url}ws/b7")
        assert await receive_end(second) == 4002
        await first.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        third = await gil.ws_connect(f"{room.url}ws/c7")  # in place of the one that no page shows
        await first_frame(third, "vgg16")
        await third.close()
    await gone(room.interfaces())


async def test_no_more_than_the_places_and_the_teacher(room: Room) -> None:
    async with browser() as ana, browser() as ben, browser() as cleo, browser() as teacher:
        sockets = []
        for session, name in ((ana, "dora"), (ben, "emil")):
            await enter(session, room, name)
            sockets.append(await session.ws_connect(f"{room.url}ws/e1"))
        await session.get(room.links["to watch only"])
        async with cleo.get(room.links["to watch only"]) as page:
            assert page.status == 503
            assert page.headers["Retry-After"] == "30"
            assert "All 2 places are taken" in await page.text()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await cleo.ws_connect(f"{room.url}ws/e2")
        assert caught.value.status == 503
        async with teacher.get(room.links["teacher"]) as page:
            assert page.status == 200
        for each in sockets:
            await each.close()
    await gone(room.interfaces())


@pytest.mark.asyncio(loop_scope="function")
async def test_links_know_their_people() -> None:
    links, named = Links(TOKEN, is_class=True), Links(TOKEN, ["Ana", "Ben Ó"], is_class=True)
    alone = Links(TOKEN)
    for each in (links, named, alone):
        assert each.find_person(each.viewer_token) == Person("", "viewer")
        for wrong in ("", TOKEN[:-1], "x.y", "\ud800", named.make_token("Ana")[:-1], "QQ.".join(["", TOKEN])):
            assert each.find_person(wrong) is None
    assert alone.find_person(TOKEN) == Person()
    assert links.find_person(TOKEN) == Person("teacher", "teacher")
    assert links.find_person(links.list_student_tokens()[""]) == NEWCOMER
    assert named.find_person(links.list_student_tokens()[""]) is None  # each has a link of their own
    former = Links(TOKEN, ["Cleo"], is_class=True)
    assert named.find_person(former.make_token("Cleo")) is None  # who is no longer in the file has no link
    assert named.find_person(links.take_name("Dora")[0]) is None
    assert links.take_name("ｄｏｒａ") == ("", "dora is taken. Choose another name, such as dora 2.")
    assert {named.find_person(token) for token in named.list_student_tokens().values()} == {
        Person("Ana", "student"),
        Person("Ben Ó", "student"),
    }
    assert alone.list_student_tokens() == {}
    assert alone.find_person(named.make_token("Ana")) is None
    assert Links(f"{TOKEN}x", is_class=True).find_person(named.make_token("Ana")) is None
    token, wrong = links.take_name("")
    assert (links.find_person(token), wrong) == (Person("guest-1", "student"), "")
    assert links.take_name("Teacher") == ("", "Teacher is taken. Choose another name, such as Teacher 2.")


@pytest.mark.asyncio(loop_scope="function")
async def test_a_class_keeps_its_links_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_CONFIG", str(tmp_path / "settings"))
    record = ClassRecord.load(tmp_path / "runs")
    record.token = TOKEN
    token, _ = Links(TOKEN, is_class=True, record=record).take_name("Ana")
    Links(TOKEN, is_class=True, record=record).take_name("")
    assert record.file
    assert record.file.stat().st_mode & 0o77 == 0 or record.file.parent.stat().st_mode & 0o77 == 0
    again = ClassRecord.load(tmp_path / "runs")
    links = Links(again.token, is_class=True, record=again)
    assert "is taken" in links.take_name("ana")[1]
    assert links.find_person(token) == Person("Ana", "student")
    assert links.find_person(links.take_name("")[0]) == Person("guest-2", "student")
    again.names["ana"] -= RESERVED_SECONDS + 1  # the next day, perhaps at another computer
    assert links.find_person(links.take_name("Ana")[0]) == Person("Ana", "student")
    assert ClassRecord.load(tmp_path / "other").token == ""
    assert ClassRecord.load(tmp_path / "runs", begins_anew=True).names == {}
    record.file.write_bytes(b"{")
    assert ClassRecord.load(tmp_path / "runs").token == ""


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("name", ["Ana", "José-María", "李雷", "O'Neil 2", "O’Neil", "अनिता", "x" * 24])
async def test_names_of_many_languages_are_names(name: str) -> None:
    assert find_wrong_name(name) == ""


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize(
    "name", ["", "x" * 25, "a\nb", "\x1b[31m", "<a>", " a", "../a", "a\u202eb", "\u0301a", "a\u200b"]
)
async def test_other_texts_are_no_names(name: str) -> None:
    assert "is no name" in find_wrong_name(name)


@pytest.mark.asyncio(loop_scope="function")
async def test_a_file_of_names_from_another_system_is_read(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_bytes("\ufeffAna\r\nJose\u0301\r\n\r\nａna\r\n".encode())
    result = CliRunner().invoke(app, ["serve", "--class", "--people", str(names)])
    assert result.exit_code == 2
    assert result.stderr.endswith(
        "ana is there twice, or is the teacher's name; each student has a name of their own\n".replace("Ana", "ana")
    )
