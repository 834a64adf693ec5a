"""Helper processes, both ends: requests as JSON lines on stdin, answers as JSON lines on stdout.

A request is {"id": 3, "kind": "data", ...}, with the parameters of its kind. What is said about it carries its id:
{"id": 3, "progress": "downloading", "done": 5, "total": 9} and other lines of its kind, any number of them, and at the
end one with `answer`, `error` or `cancelled`. {"kind": "cancel", "id": 3} ends a request as soon as its handler looks.

A process has a thread for each kind, which answers one request after another. It ends when its stdin does, so it does
not outlive the process that asks, however that ends.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import queue
import shutil
import threading
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ftapp.common.errors import Problem, RecipeError, RunError, suggest_nearest
from ftapp.common.processes import make_child_environment, make_module_command
from ftapp.common.safe_files import UNREADABLE, encode_line, explain_error

_TOLD_SECONDS = 0.1  # progress comes no more often than eyes can follow
_LONGEST_LINE = 1 << 26  # bytes; the structure of a large model has about one million
_LARGEST_LOG = 1 << 20  # bytes, after which a log begins anew
_LAST_LINES = 12

Line = dict[str, Any]

_Value = TypeVar("_Value")


class CancelledError(Exception):
    """A request whose answer is not wanted any more."""


class SupersededError(Exception):
    """A newer request of the same kind has taken the place of one that was waiting."""


class CrashedError(RunError):
    """A helper process that ended while it was answering."""


class Request:
    """One request, as its handler sees it.

    Args:
        number: The request's id.
        kind: Its kind.
        parameters: Its parameters by name.
        write: Writes a line.

    Attributes:
        finished: Whether its last line has been written.
    """

    def __init__(self, number: Any, kind: str, parameters: Line, write: Callable[[Line], None]) -> None:
        self.kind, self.parameters = kind, parameters
        self._number, self._write = number, write
        self._cancelled = threading.Event()
        self.finished = False
        self._activity, self._told = "", 0.0

    @property
    def cancelled(self) -> bool:
        """Whether the answer is not wanted any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Make the next `say`, `report_progress` or `check` raise CancelledError."""
        self._cancelled.set()

    def say(self, **line: Any) -> None:
        """Write a line about this request.

        Args:
            line: The parts of the line by name.

        Raises:
            CancelledError: The answer is not wanted any more.
        """
        self.check()
        self._write({"id": self._number, **line})

    def report_progress(self, activity: str, done: int = 0, total: int | None = None) -> None:
        """Report what is going on, as `ftapp.common.downloads.Progress`.

        Args:
            activity: The work, in words.
            done: How much of it is done.
            total: How much there is to do; None where that is not known.

        Raises:
            CancelledError: The answer is not wanted any more.
        """
        now = time.monotonic()
        if activity != self._activity or now - self._told >= _TOLD_SECONDS or done == total:
            self._activity, self._told = activity, now
            self.say(progress=activity, done=done, total=total)
        else:
            self.check()

    def check(self) -> None:
        """Raise CancelledError where the answer is not wanted any more."""
        if self.cancelled:
            raise CancelledError

    def answer(self, handler: Callable[..., Any]) -> None:
        """Let the handler answer, and write its answer or the reason why there is none, in words.

        Args:
            handler: Called with this request and its parameters by name.
        """
        last: Line
        try:
            self.check()
            try:
                inspect.signature(handler).bind(self, **self.parameters)
            except TypeError as error:
                raise RunError(f"the parameters do not fit a request of the kind '{self.kind}': {error}") from error
            last = {"answer": handler(self, **self.parameters)}
        except CancelledError:
            last = {"cancelled": True}
        except RecipeError as error:
            problems = [(problem.file, problem.key, problem.message) for problem in error.problems]
            last = {"error": str(error), "problems": problems}
        except RunError as error:
            last = {"error": str(error)}
        except Exception as error:
            traceback.print_exc()
            last = {"error": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"}
        self.finished = True
        self._write({"id": self._number, **last})


def serve(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """Answer requests until stdin ends; requests that are being answered then are left as they are.

    Afterwards libraries find an empty stdin, and their output goes to stderr.

    Args:
        handlers: Kind -> handler, called with the Request and the request's parameters by name, on the kind's own
            thread. A handler returns values that JSON can hold, or msgspec's structs. It raises RecipeError and
            RunError for its user.
    """
    lines, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    lock = threading.Lock()

    def write(line: Line) -> None:
        data = memoryview(encode_line(line))
        with lock:
            while data:
                data = data[answers.write(data) :]

    queues: dict[str, queue.SimpleQueue[Request]] = {}
    requests: dict[Any, Request] = {}

    def work(kind: str) -> None:
        while True:
            request = queues[kind].get()
            try:
                request.answer(handlers[kind])
            except OSError:  # nobody listens; stdin is about to end
                return

    for line in lines:
        try:
            parameters = msgspec.json.decode(line, type=Line)
        except UNREADABLE as error:
            message = f"a line cannot be read: {explain_error(error)}; a request is a JSON object on one line"
            write({"id": None, "error": message})
            continue
        number, kind = parameters.pop("id", None), str(parameters.pop("kind", ""))
        if kind == "cancel":
            if number in requests:
                requests[number].cancel()
            continue
        if kind not in handlers:
            write({"id": number, "error": f"there is no request '{kind}'; {suggest_nearest(kind, handlers)}"})
            continue
        if kind not in queues:
            queues[kind] = queue.SimpleQueue()
            threading.Thread(target=work, args=(kind,), name=kind, daemon=True).start()
        requests = {key: known for key, known in requests.items() if not known.finished}
        requests[number] = Request(number, kind, parameters, write)
        queues[kind].put(requests[number])


class Last(Generic[_Value]):
    """The last value that was made, by its key. Threads that ask while it is being made wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: Hashable = None
        self._value: _Value | None = None

    def get(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        """Return the value for a key.

        Args:
            key: The key.
            make: Makes the value, unless the last value has this key.

        Returns:
            The value.
        """
        with self._lock:
            if self._value is None or key != self._key:
                self._value = None  # two large models need not fit into memory at once
                self._value, self._key = make(), key
            return self._value

    def peek(self, key: Hashable) -> _Value | None:
        """Return the value for a key if it has been made, else None; never wait."""
        return self._value if key == self._key else None


class Service:
    """The other end: a process that is started when it is first asked, and again after it has crashed.

    Of requests of one kind one is being answered and one waits, the newest; SupersededError is raised for a waiting
    one whose place another takes. When the task that awaits an answer is cancelled, so is the request.

    Args:
        module: The module that `python -m` runs.
        log: The file for the process's stderr.
        environment: Variables that are added to this process's own.
        folder: The process's argument, a folder for files that it makes; it is removed when the service is closed, even
            if the process has to be killed.
    """

    def __init__(
        self, module: str, log: Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        self._module, self._log, self._environment, self._folder = module, log, dict(environment or {}), folder
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._begun = 0  # where the process's own lines begin in its log
        self._number = 0
        self._heard: dict[int, asyncio.Queue[Line]] = {}
        self._busy: set[str] = set()
        self._waiting: dict[str, asyncio.Future[None]] = {}

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The id of the process that was started last; None before."""
        return self._process.pid if self._process else None

    def read_output(self) -> str:
        """Return what the process that was started last has written to its log."""
        try:
            with self._log.open("rb") as log:
                log.seek(self._begun)
                return log.read().decode("utf-8", errors="replace")
        except OSError:
            return ""

    async def ask(self, kind: str, on_line: Callable[[Line], None] | None = None, **parameters: Any) -> Any:
        """Return the answer to a request.

        Args:
            kind: The kind of the request.
            on_line: Called with the lines that come before the answer.
            parameters: The parameters of the kind by name.

        Returns:
            The answer, as JSON holds it.

        Raises:
            RecipeError: The handler refused the recipe.
            RunError: The handler failed for a reason that its user can act on.
            CrashedError: The process ended.
            SupersededError: A newer request of the kind took the place of this one.
            CancelledError: The request was cancelled.
        """
        async with aclosing(self.stream(kind, **parameters)) as lines:
            async for line in lines:
                if "answer" in line:
                    return line["answer"]
                if on_line:
                    on_line(line)
        raise CancelledError

    async def stream(self, kind: str, **parameters: Any) -> AsyncGenerator[Line, None]:
        """Yield the lines about a request as they come.

        Args:
            kind: The kind of the request.
            parameters: The parameters of the kind by name.

        Yields:
            The lines without their id; the last one holds the `answer`.

        Raises:
            RecipeError: The handler refused the recipe.
            RunError: The handler failed for a reason that its user can act on.
            CrashedError: The process ended.
            SupersededError: A newer request of the kind took the place of this one.
        """
        await self._wait_turn(kind)
        self._number += 1
        number, finished = self._number, False
        heard = self._heard[number] = asyncio.Queue()
        try:
            await self._start()
            self._send({"id": number, "kind": kind, **parameters})
            while not finished:
                line = await heard.get()
                finished = bool({"answer", "error", "cancelled"} & line.keys())
                if "crashed" in line:
                    raise CrashedError(line["error"])
                if "problems" in line:
                    raise RecipeError([Problem(*problem) for problem in line["problems"]])
                if "error" in line:
                    raise RunError(line["error"])
                if "cancelled" not in line:
                    yield line
        finally:
            del self._heard[number]
            if not finished and self.alive:
                self._send({"id": number, "kind": "cancel"})
            self._pass_turn(kind)

    async def close(self) -> None:
        """End the process; requests that are being answered raise CrashedError."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), timeout=2)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading:
            await self._reading
        if self._folder:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _wait_turn(self, kind: str) -> None:
        if kind not in self._busy:
            self._busy.add(kind)
            return
        if (former := self._waiting.get(kind)) and not former.done():
            former.set_exception(SupersededError())
        turn = self._waiting[kind] = asyncio.get_running_loop().create_future()
        try:
            await turn
        except asyncio.CancelledError:
            if self._waiting.get(kind) is turn:
                del self._waiting[kind]
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_turn(kind)  # it was its turn just now
            raise

    def _pass_turn(self, kind: str) -> None:
        turn = self._waiting.pop(kind, None)
        if turn and not turn.done():
            turn.set_result(None)
        else:
            self._busy.discard(kind)

    async def _start(self) -> None:
        async with self._starting:
            if self.alive:
                return
            if self._reading:
                await self._reading
            self._log.parent.mkdir(parents=True, exist_ok=True)
            if self._log.is_file() and self._log.stat().st_size > _LARGEST_LOG:
                self._log.unlink()
            with self._log.open("ab") as log:
                self._begun = log.tell()
                self._process = await asyncio.create_subprocess_exec(
                    *make_module_command(self._module, *([str(self._folder)] if self._folder else [])),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env=make_child_environment(self._environment),
                    limit=_LONGEST_LINE,
                    start_new_session=True,  # Ctrl-C in a terminal is for the interface alone
                )
            self._reading = asyncio.create_task(self._read(self._process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for data in process.stdout:
            line = msgspec.json.decode(data, type=Line)
            if heard := self._heard.get(line.pop("id")):
                heard.put_nowait(line)
        code = await process.wait()
        for heard in self._heard.values():
            heard.put_nowait({"crashed": True, "error": self._describe_end(code)})

    def _send(self, line: Line) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(encode_line(line))

    def _describe_end(self, code: int) -> str:
        """Describe how a process ended, with the last lines of its log."""
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        message = f"the helper process {self._module} ended {how}; its log is {self._log}"
        return "\n".join([message, *self.read_output().splitlines()[-_LAST_LINES:]])
