"""All that tests of screens change in Textual and asyncio, each with its reason. Screens themselves run unchanged."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from textual.app import App
from textual.css.model import RuleSet
from textual.screen import UPDATE_PERIOD

_ROUNDS = 30_000  # of the event loop, for what never rests; half a minute, of which a machine at a stop counts nothing

said: WeakKeyDictionary[App[Any], list[str]] = WeakKeyDictionary()
"""What apps have noted, also what has gone from sight since; filled by `keep_notes`."""


def wait_for_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pilot goes on once nothing is left to do: no callback waits in the event loop, no thread works for it, and no
    timer is about to go off, such as that of the next frame.

    Reason: `textual._wait.wait_for_idle` takes a process that uses no processor time for one at rest. So is one that
    others keep off the processor, and a pilot on a busy machine went on too early. Textual has no hook for this. The
    event loop tells neither its ready callbacks nor its timers in public, nor which calls its threads work at.
    """
    working: set[asyncio.Future[Any]] = set()
    run = asyncio.BaseEventLoop.run_in_executor

    def watched(loop: Any, *given: Any) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = run(loop, *given)
        working.add(future)
        future.add_done_callback(working.discard)
        return future

    async def rest(*_: float) -> None:
        loop: Any = asyncio.get_running_loop()
        for _round in range(_ROUNDS):
            soon = loop.time() + UPDATE_PERIOD
            if loop._ready:
                await asyncio.sleep(0)
            elif working or any(timer.when() <= soon and not timer.cancelled() for timer in loop._scheduled):
                await asyncio.sleep(0.001)
            else:
                return

    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", watched)
    monkeypatch.setattr("textual.app.wait_for_idle", rest)
    monkeypatch.setattr("textual.pilot.wait_for_idle", rest)


def cancel_work_before_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app whose test has ended gives up its work before its widgets go, as one that is quit does.

    Reason: `App.run_test` ends with `App._shutdown`, which removes widgets while workers go on; `App.exit` cancels
    these first. A worker that then looks for a widget would fail a test that has passed.
    """
    shutdown = App._shutdown

    async def orderly(app: App[Any]) -> None:
        app.workers.cancel_all()
        await shutdown(app)

    monkeypatch.setattr(App, "_shutdown", orderly)


def keep_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """All notes of an app are kept in `said`.

    Reason: a note goes from sight after some seconds, which a busy machine may take for a few keys.
    """
    notify = App.notify

    def kept(app: App[Any], message: str, **how: Any) -> None:
        said.setdefault(app, []).append(message)
        notify(app, message, **how)

    monkeypatch.setattr(App, "notify", kept)


def hash_rules_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules of style sheets are hashed by their identity, as `RuleSet.__hash__` does in Python.

    Reason: each node that gets styles hashes hundreds of rules, which takes a twentieth of the time of these tests.
    """
    monkeypatch.setattr(RuleSet, "__hash__", object.__hash__)
