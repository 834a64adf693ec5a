"""Bodies of requests that come slowly, or in pieces."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, Request

from ftapp.serving.body_limit import BodyLimit
from ftapp.serving.refusals import add_handlers


def ask(pieces: list[bytes], pause: float, *, ends: bool = True) -> list[dict[str, Any]]:
    """Send a body in pieces with a pause after each, within a limit of 1,000 bytes and 0.2 seconds."""
    app = FastAPI()

    @app.post("/")
    async def count(request: Request) -> int:
        body = await request.body()
        await asyncio.sleep(0.3)  # the answer may take longer than the body
        await asyncio.wait_for(request.receive(), 1)  # the end of the connection, which is looked for meanwhile
        return len(body)

    add_handlers(app, ())
    app.add_middleware(BodyLimit, most=1000, seconds=0.2)
    left, sent = list(pieces), list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        if left:
            body = left.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(left) or not ends}
        await asyncio.sleep(pause)
        return {"type": "http.disconnect"} if ends else {"type": "http.request", "body": b"", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(app(scope, receive, send))
    return sent


@pytest.mark.parametrize("pause", [0.02, 60.0])
def test_a_body_that_drips_or_stays_away_is_refused(pause: float) -> None:
    start, body = ask([b"abc"], pause, ends=False)
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert b"the body comes too slowly: 3 bytes so far; it has 0.2 seconds" in body["body"]


def test_the_time_ends_with_the_body() -> None:
    start, body = ask([b"abc", b"def"], 0.05)
    assert (start["status"], body["body"]) == (200, b"6")
