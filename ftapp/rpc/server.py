"""A helper process's end of the protocol (`ftapp.rpc.protocol`): it answers requests."""

from __future__ import annotations

import inspect
import os
import queue
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ftapp.common.errors import HubError, RecipeError, RunError, suggest_nearest
from ftapp.common.safe_files import UNREADABLE, encode_line, explain_error
from ftapp.rpc.protocol import CancelledError, Line

_REPORT_SECONDS = 0.1  # progress comes no more often than eyes can follow

_Value = TypeVar("_Value")


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
        self._activity, self._reported = "", 0.0

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
        if activity != self._activity or now - self._reported >= _REPORT_SECONDS or done == total:
            self._activity, self._reported = activity, now
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
            last = {"error": str(error)} | ({"hub": True} if isinstance(error, HubError) else {})
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


def serve_with_files(folder: Path, make_handlers: Callable[[Path], Mapping[str, Callable[..., Any]]]) -> None:
    """Answer requests until stdin ends, as `serve` does, and leave no files behind.

    Args:
        folder: For files of the handlers, also those of a process before.
        make_handlers: Makes the handlers, given a folder for their files.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        serve(make_handlers(Path(tempfile.mkdtemp(dir=folder))))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
