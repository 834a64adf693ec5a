"""The protocol of helper processes, with real processes that need no Keras."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from ftapp.common.errors import RecipeError, RunError
from ftapp.rpc.service import CrashedError, Service, SupersededError

_Result = TypeVar("_Result")

HELPER = """
import atexit, os, pathlib, sys, threading, time
from ftapp.rpc import server
from ftapp.common.errors import Problem, RecipeError, RunError

go_on = threading.Event()

def echo(request, text):
    print("a library says something")
    os.system("echo a child says something")
    request.report_progress("echoing", 1, 2)
    return {"text": text, "stdin": sys.stdin.read()}

def refuse(request):
    raise RecipeError([Problem("", "data.test", "the result needs a test split; got 0")])

def fail(request):
    raise RunError("the disk is full")

def stumble(request):
    return [1][2]

def die(request):
    print("my last words", file=sys.stderr, flush=True)
    os._exit(3)

def hold(request, name):
    request.say(held=name)
    while not go_on.wait(0.01):
        request.check()
    go_on.clear()
    return name

def release(request):
    go_on.set()

def linger(request):
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir()
    (folder / "preview").touch()
    atexit.register(time.sleep, 60)

names = ("echo", "refuse", "fail", "stumble", "die", "hold", "release", "linger")
server.serve({name: globals()[name] for name in names})
"""


@pytest.fixture
def service(tmp_path: Path) -> Service:
    (tmp_path / "a_helper.py").write_text(HELPER, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    return Service("a_helper", tmp_path / "logs" / "a_helper.log", {"PYTHONPATH": path}, tmp_path / "previews")


def done(service: Service, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    async def whole() -> _Result:
        try:
            return await coroutine
        finally:
            await service.close()

    return asyncio.run(asyncio.wait_for(whole(), 240))


def test_an_answer_comes_with_what_was_told_before_and_nothing_that_was_printed(service: Service) -> None:
    reports: list[Any] = []
    answer = done(service, service.ask("echo", reports.append, text="naïve 東京\n"))
    assert answer == {"text": "naïve 東京\n", "stdin": ""}
    assert reports == [{"progress": "echoing", "done": 1, "total": 2}]
    log = service._log.read_text("utf-8")
    assert "a library says something" in log
    assert "a child says something" in log


def test_errors_are_told_in_words(service: Service) -> None:
    async def errors() -> list[str]:
        found = []
        asked: list[tuple[str, dict[str, Any]]] = [("fail", {}), ("stumble", {}), ("ecko", {}), ("echo", {"txet": ""})]
        for kind, parameters in asked:
            with pytest.raises(RunError) as caught:
                await service.ask(kind, **parameters)
            found.append(str(caught.value))
        with pytest.raises(RecipeError) as refused:
            await service.ask("refuse")
        return [*found, f"{refused.value.problems[0].key} {refused.value.problems[0].message}"]

    full, stumbled, unknown, wrong, refused = done(service, errors())
    assert full == "the disk is full"
    assert stumbled == "IndexError: list index out of range"
    assert "did you mean 'echo'?" in unknown
    assert "do not fit a request of the kind 'echo'" in wrong
    assert refused == "data.test the result needs a test split; got 0"
    assert "Traceback" in service._log.read_text("utf-8")


def test_the_newest_of_those_waiting_takes_the_place_of_the_others(service: Service) -> None:
    async def three() -> list[Any]:
        asked = []
        for name in "abc":
            asked.append(asyncio.create_task(service.ask("hold", name=name)))
            await asyncio.sleep(0)
        await service.ask("echo", text="another kind does not wait")
        await service.ask("release")
        first = await asked[0]
        await service.ask("release")
        return [first, *await asyncio.gather(*asked[1:], return_exceptions=True)]

    first, second, third = done(service, three())
    assert (first, third) == ("a", "c")
    assert isinstance(second, SupersededError)


def test_a_cancelled_task_cancels_its_request(service: Service) -> None:
    async def cancelled() -> Any:
        began = asyncio.Event()
        asked = asyncio.create_task(service.ask("hold", lambda line: began.set(), name="a"))
        await began.wait()
        waiting = asyncio.create_task(service.ask("hold", name="b"))
        await asyncio.sleep(0)
        waiting.cancel()
        asked.cancel()
        await asyncio.wait([asked, waiting])
        # The kind's thread is free again only when the first has ended without being released.
        lines = service.stream("hold", name="c")
        assert await anext(lines) == {"held": "c"}
        await lines.aclose()
        return asked.cancelled(), waiting.cancelled()

    assert done(service, cancelled()) == (True, True)


def test_a_process_that_dies_is_told_of_and_started_again(service: Service) -> None:
    async def again() -> tuple[str, str, Any]:
        with pytest.raises(CrashedError) as died:
            await service.ask("die")
        began = asyncio.Event()
        asked = asyncio.create_task(service.ask("hold", lambda line: began.set(), name="a"))
        await began.wait()
        assert service.pid is not None
        os.kill(service.pid, signal.SIGKILL)
        with pytest.raises(CrashedError) as killed:
            await asked
        return str(died.value), str(killed.value), await service.ask("echo", text="here again")

    died, killed, answer = done(service, again())
    assert "exit code 3" in died
    assert "my last words" in died
    assert "signal 9" in killed
    assert "my last words" not in killed
    assert answer["text"] == "here again"


def test_what_is_asked_right_after_an_end_is_answered_by_the_next_process(service: Service) -> None:
    async def whole() -> Any:
        await service.ask("echo", text="first")
        assert service.pid
        os.kill(service.pid, signal.SIGKILL)
        assert await service.wait_for_end() == -signal.SIGKILL
        return await service.ask("echo", text="second")

    assert done(service, whole())["text"] == "second"


def test_a_module_that_does_not_start_is_told_of(tmp_path: Path) -> None:
    service = Service("no_such_helper", tmp_path / "log")
    with pytest.raises(CrashedError, match="No module named no_such_helper"):
        done(service, service.ask("echo"))


def test_closing_ends_what_is_being_answered(service: Service) -> None:
    async def closed() -> bool:
        began = asyncio.Event()
        asked = asyncio.create_task(service.ask("hold", lambda line: began.set(), name="a"))
        await began.wait()
        await service.close()
        with pytest.raises(CrashedError):
            await asked
        return service.alive

    assert done(service, closed()) is False


def test_files_go_with_a_process_that_has_to_be_killed(service: Service, tmp_path: Path) -> None:
    async def made() -> bool:
        await service.ask("linger")
        return (tmp_path / "previews" / "preview").exists()

    assert done(service, made())
    assert not (tmp_path / "previews").exists()


def test_what_nobody_wants_any_more_is_not_begun(service: Service) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "a_helper"],
        env={**os.environ, **service._environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines = [
        {"id": 1, "kind": "hold", "name": "a"},
        {"id": 2, "kind": "hold", "name": "b"},
        {"kind": "cancel", "id": 2},
        {"id": 3, "kind": "release"},
    ]
    process.stdin.write("".join(json.dumps(line) + "\n" for line in lines) + "no json\n")
    process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for _ in range(5)]
    assert {"id": 1, "answer": "a"} in answers
    assert {"id": 2, "cancelled": True} in answers
    assert {"id": 1, "held": "a"} in answers
    assert not any(answer.get("held") == "b" for answer in answers)
    assert "a request is a JSON object on one line" in next(each["error"] for each in answers if each["id"] is None)
    process.stdin.close()
    assert process.wait(240) == 0


def test_it_ends_with_the_interface_even_while_it_answers(service: Service, tmp_path: Path) -> None:
    """A process in the place of the interface is killed; its helper, which is answering, ends."""
    interface = f"""
import asyncio
from pathlib import Path
from ftapp.rpc.service import Service

async def main():
    service = Service("a_helper", Path({str(service._log)!r}))
    async for line in service.stream("hold", name="a"):
        print(service.pid, flush=True)

asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", interface],
        env={**os.environ, **service._environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    helper = int(process.stdout.readline())
    process.kill()
    process.wait()
    for _ in range(24000):
        if not _lives(helper):
            return
        time.sleep(0.01)
    pytest.fail("the helper lives on")


def _lives(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody collects does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
