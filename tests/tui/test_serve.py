"""`ftapp serve` as a real process: the page, the interface behind it, and who is refused."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp.test_utils import TestClient, TestServer

from ftapp.cli.web.interface import InterfaceOptions
from ftapp.cli.web.links import Links
from ftapp.cli.web.server import WebServer
from ftapp.common.errors import RecipeError
from ftapp.common.web_access import read_token


@dataclass
class Served:
    process: asyncio.subprocess.Process
    port: int
    token: str

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def address(self) -> str:
        """As it was printed."""
        return f"{self.url}/?token={self.token}"

    @property
    def socket(self) -> str:
        return f"{self.url}/ws?token={self.token}"

    def interfaces(self) -> list[psutil.Process]:
        """The processes of interfaces: those that the server's own process for it has forked."""
        children = psutil.Process(self.process.pid).children()
        return [each for child in children for each in child.children()]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A server on a free port, once it says that it is there."""
    line = "cannot be listened on"
    while "cannot be listened on" in line:  # somebody else has taken the port since
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ftapp.cli", "serve", "--port", str(port), stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr
        line = (await process.stderr.readline()).decode()
    printed = re.search(rf"http://localhost:{port}/\?token=(\S+)", line)
    assert printed
    yield Served(process, port, printed[1])
    if process.returncode is None:
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
        process.kill()
        await process.wait()


async def first_frame(socket: aiohttp.ClientWebSocketResponse, word: str) -> str:
    """What the interface draws, up to a word."""
    drawn: str = ""
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            drawn += str(message.data, errors="replace")
            if word in drawn:
                return drawn
    raise AssertionError(f"the interface ended; it had drawn: {drawn}")


async def test_a_page_opens_an_interface_of_its_own(served: Served) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(served.address) as page:
            assert page.status == 200
            assert str(page.url) == f"{served.url}/"
            text = await page.text()
            # The terminal takes the keys without a click.
            assert text.index('querySelector(".xterm-helper-textarea")?.focus()') < text.index("</body>")
        async with session.ws_connect(f"{served.url}/ws?width=100&height=30") as socket:
            await first_frame(socket, "vgg16-feature-extractor")
            assert served.interfaces()
            await socket.send_json(["stdin", "q"])
            closing = await socket.receive()
            while closing.type is aiohttp.WSMsgType.BINARY:
                closing = await socket.receive()
            assert closing.type is aiohttp.WSMsgType.CLOSE
        await gone(served.interfaces())


async def test_an_interface_ends_with_its_page(served: Served) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(served.socket) as socket:
            await first_frame(socket, "Recipes")
            interfaces = served.interfaces()
            assert interfaces
        await gone(interfaces)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_end_the_server_and_all_interfaces(served: Served, number: signal.Signals) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(served.socket) as socket:
        await first_frame(socket, "Recipes")
        interfaces = served.interfaces()
        assert interfaces
        served.process.send_signal(number)
        reading = asyncio.create_task(_drain(socket))
        assert await served.process.wait() == 0
        await reading
        await gone(interfaces)


async def test_it_is_not_reachable_from_other_machines(served: Served) -> None:
    addresses = [
        address.address
        for each in psutil.net_if_addrs().values()
        for address in each
        if address.family is socket.AF_INET and not address.address.startswith("127.")
    ]
    if not addresses:
        pytest.skip("this machine has no address but the loopback one")
    for address in addresses:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((address, served.port), timeout=5)


async def test_pages_of_others_are_refused(served: Served) -> None:
    refused = [
        {"Origin": "http://elsewhere.example"},
        {"Host": "elsewhere.example", "Origin": "http://elsewhere.example"},
    ]
    async with aiohttp.ClientSession() as session:
        for headers in refused:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(served.socket, headers=headers)
            assert caught.value.status == 403
        async with session.get(served.address, headers={"Host": "elsewhere.example"}) as page:
            assert page.status == 403
    assert not served.interfaces()


async def test_only_who_knows_the_token_gets_in(served: Served) -> None:
    wrongs = (served.token[:-1], f"{served.token}x", served.token.swapcase())
    paths = [
        "/",
        "/?token=",
        *(f"/?token={wrong}" for wrong in wrongs),
        "/static/css/xterm.css",
        "/download/x",
        "/ws",
        "/\u00fc",
    ]
    async with aiohttp.ClientSession() as session:
        for path in paths:
            async with session.get(f"{served.url}{path}") as page:
                assert page.status == 403, path
                assert served.token not in await page.text()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{served.url}/ws?token=nothing")
        assert not served.interfaces()
        async with session.get(served.address, allow_redirects=False) as page:
            assert (page.status, page.headers["Location"]) == (303, "./")
            cookie = page.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
        for path in ("/", "/static/css/xterm.css"):
            async with session.get(f"{served.url}{path}") as page:
                assert page.status == 200, path


async def test_it_is_shown_in_no_frame(served: Served) -> None:
    async with aiohttp.ClientSession() as session:
        for address in (served.address, served.url, f"{served.url}/none"):
            async with session.get(address) as page:
                assert page.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
                assert page.headers["X-Frame-Options"] == "DENY"
                assert page.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("host", "name", "answered"),
    [
        ("localhost", "localhost", True),
        ("localhost", "LOCALHOST.", True),
        ("localhost", "[::1]", True),
        ("localhost", "10.0.0.1", False),
        ("localhost", "elsewhere.example", False),
        ("localhost", "proxy.example", True),
        ("localhost", "localhost.elsewhere.example", False),
        ("localhost", "[", False),
        ("0.0.0.0", "10.0.0.1", True),
        ("0.0.0.0", socket.gethostname(), True),
        ("0.0.0.0", "elsewhere.example", False),
        ("work.example", "work.example", True),
        ("work.example", "elsewhere.example", False),
    ],
)
async def test_names_that_are_not_its_own_are_refused(host: str, name: str, answered: bool) -> None:
    server = WebServer(InterfaceOptions(), Links("a token of some length"), host, 8000, ["proxy.example"])
    async with TestClient(TestServer(await server._make_app())) as client:
        cookies = {"ftapp-8000": "a token of some length"}
        async with client.get("/", headers={"Host": name}, cookies=cookies) as page:
            assert page.status == (200 if answered else 403)


def test_a_short_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_TOKEN", "short")
    with pytest.raises(RecipeError, match="has 5 characters"):
        read_token()
    monkeypatch.setenv("FTAPP_TOKEN", "a token of some length")
    assert read_token() == "a token of some length"


def test_a_port_that_is_taken_is_refused_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "ftapp.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, check=False)
    assert done.returncode == 2
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr


async def _drain(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass


async def gone(processes: list[psutil.Process]) -> None:
    """Wait until processes have ended."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=60)
    assert not alive
