"""Clients that send the header of a request slowly, and would keep connections of others."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from ftapp.serving import server


async def test_a_model_closes_connections_whose_request_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    config = uvicorn.Config(
        PlainTextResponse("yes"), http=server.TimedProtocol, lifespan="off", log_config=None, port=0
    )
    config.port = 0
    serving = uvicorn.Server(config)
    task = asyncio.create_task(serving.serve())
    while not serving.started:
        await asyncio.sleep(0.01)
    port = serving.servers[0].sockets[0].getsockname()[1]
    for before in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if before:
            writer.write(before)
            assert (await reader.readuntil(b"yes")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HTTP/1.1\r\n")
        assert await asyncio.wait_for(reader.read(), 30) == b""  # closed
        writer.close()
    serving.should_exit = True
    await task
