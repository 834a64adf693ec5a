"""All that tests of screens change in Textual and asyncio, each with its reason. Screens themselves run unchanged."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from textual._context import active_app
from textual.app import App
from textual.css import match
from textual.css.model import CombinatorType, RuleSet, Selector
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.screen import UPDATE_PERIOD
from textual.timer import Timer

_ROUNDS = 30_000  # of the event loop, for what never rests; half a minute, of which a machine at a stop counts nothing

said: WeakKeyDictionary[App[Any], list[str]] = WeakKeyDictionary()
"""What apps have noted, also what has gone from sight since; filled by `keep_notes`."""


def wait_for_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pilot goes on once nothing is left to do: no callback waits in the event loop, no thread works for it, and no
    timer is about to go off, such as that of the next frame.

    Reason: `textual._wait.wait_for_idle` takes a process that uses no processor time for one at rest. So is one that
    others keep off the processor, and a pilot on a busy machine went on too early. Textual has no hook for this. The
    event loop tells neither its ready callbacks nor its timers in public, nor which calls its threads work at.

    Where no callback waits, no widget has a message left. So a pilot does not also send one to each widget, and wait
    until all of them have got it.
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
            due = [timer.when() for timer in loop._scheduled if timer.when() <= soon and not timer.cancelled()]
            if loop._ready:
                await asyncio.sleep(0)
            elif due:
                await asyncio.sleep(0.001 if working else min(due) - loop.time())
            elif working or _is_to_draw(active_app.get(None)):
                await asyncio.sleep(0.001)
            else:
                return

    async def take_messages() -> None:
        loop: Any = asyncio.get_running_loop()
        for _round in range(_ROUNDS):
            if not loop._ready:
                return
            await asyncio.sleep(0)

    async def press(pilot: Pilot[Any], *keys: str) -> None:
        await pilot.app._press_keys(keys)  # which waits for rest after each

    async def pause(pilot: Pilot[Any], delay: float | None = None) -> None:
        if delay is None:
            await rest()
        else:
            await asyncio.sleep(delay)
            await take_messages()
        pilot.app.screen._on_timer_update()

    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", watched)
    monkeypatch.setattr("textual.app.wait_for_idle", rest)
    monkeypatch.setattr("textual.pilot.wait_for_idle", rest)
    monkeypatch.setattr(Pilot, "press", press)
    monkeypatch.setattr(Pilot, "pause", pause)


def _is_to_draw(app: App[Any] | None) -> bool:
    """Whether a frame is to come: after a late one, the timer of frames skips one."""
    return app is not None and not app._exit and bool(app._screen_stack) and app.screen._update_timer._active.is_set()


def pause_timers_of_apps_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers of an app that has been left are paused.

    Reason: `Timer._tick` does nothing then. So the timer of frames, which the screen pauses when it draws one, goes off
    again and again, and a pilot would wait for it in vain.
    """
    tick = Timer._tick

    async def pause_or_tick(timer: Timer, **when: Any) -> None:
        if active_app.get()._exit:
            timer.pause()
        await tick(timer, **when)

    monkeypatch.setattr(Timer, "_tick", pause_or_tick)


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


_parsed: dict[object, list[RuleSet]] = {}


def share_parsed_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """All apps of a process share the rules of a style sheet that they read with the same variables.

    Reason: each test starts an app, which parses the same style sheets anew. Nothing changes a rule once it is parsed.
    """
    parse = Stylesheet._parse_rules

    def parse_once(sheet: Stylesheet, css: str, *given: Any, **options: Any) -> list[RuleSet]:
        key = (css, given, frozenset(options.items()), frozenset(sheet._variables.items()))
        if key not in _parsed:
            _parsed[key] = parse(sheet, css, *given, **options)
        return _parsed[key]

    monkeypatch.setattr(Stylesheet, "_parse_rules", parse_once)


def match_selectors_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Selectors are compared with a node itself first, and with the nodes around it only where that matches.

    Reason: Textual begins with the app, for each node and each rule that names the node's class. Most of these rules
    are about another state of the node, such as its focus.
    """
    check = match._check_selectors

    def check_last_first(selectors: list[Selector], nodes: list[DOMNode]) -> bool:
        if not (selectors and selectors[-1].check(nodes[-1])):
            return False
        is_alone = len(selectors) == 1 and selectors[0].combinator is CombinatorType.DESCENDENT
        return is_alone or check(selectors, nodes)

    monkeypatch.setattr("textual.css.match._check_selectors", check_last_first)
    monkeypatch.setattr("textual.css.stylesheet._check_selectors", check_last_first)


def keep_equal_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose styles are made anew and are the same keeps them.

    Reason: Textual sets each of them again, a dozen for each widget, which changes nothing.
    """
    replace = Stylesheet.replace_rules

    def replace_changed(node: DOMNode, rules: Any, animate: bool = False) -> None:
        if animate or node.styles.base._rules != rules:
            replace(node, rules, animate)
        else:
            node.notify_style_update()

    monkeypatch.setattr(Stylesheet, "replace_rules", staticmethod(replace_changed))
