"""The asking end of the protocol (`ftapp.rpc.protocol`): a helper process, and requests to it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec

from ftapp.common.errors import HubError, Problem, RecipeError, RunError
from ftapp.common.processes import make_child_environment, make_module_command
from ftapp.common.safe_files import encode_line
from ftapp.rpc.protocol import CancelledError, Line

_LONGEST_LINE = 1 << 26  # bytes; the structure of a large model has about one million
_LARGEST_LOG = 1 << 20  # bytes, after which a log begins anew
_LAST_LINES = 12


class SupersededError(Exception):
    """A newer request of the same kind has taken the place of one that was waiting."""


class CrashedError(RunError):
    """A helper process that ended while it was answering."""


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
            RunError: The handler failed for a reason that its user can act on, or the process cannot be started.
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
        heard: asyncio.Queue[Line] = asyncio.Queue()
        try:
            await self._start()  # before it listens: the end of a process before is no news to it
            self._heard[number] = heard
            self._send({"id": number, "kind": kind, **parameters})
            while not finished:
                line = await heard.get()
                finished = bool({"answer", "error", "cancelled"} & line.keys())
                if "crashed" in line:
                    raise CrashedError(line["error"])
                if "problems" in line:
                    raise RecipeError([Problem(*problem) for problem in line["problems"]])
                if "error" in line:
                    raise HubError(line["error"]) if "hub" in line else RunError(line["error"])
                if "cancelled" not in line:
                    yield line
        finally:
            was_sent = self._heard.pop(number, None) is not None
            if was_sent and not finished and self.alive:
                self._send({"id": number, "kind": "cancel"})
            self._pass_turn(kind)

    async def wait_for_end(self) -> int | None:
        """Wait until the process has ended, and return its exit code; None at once if none was started."""
        return await self._process.wait() if self._process else None

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
            try:
                self._process = await self._launch()
            except OSError as error:
                raise RunError(f"the helper process cannot be started: {error}") from error
            self._reading = asyncio.create_task(self._read(self._process))

    async def _launch(self) -> asyncio.subprocess.Process:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.is_file() and self._log.stat().st_size > _LARGEST_LOG:
            self._log.unlink()
        with self._log.open("ab") as log:
            self._begun = log.tell()
            return await asyncio.create_subprocess_exec(
                *make_module_command(self._module, *([str(self._folder)] if self._folder else [])),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=make_child_environment(self._environment),
                limit=_LONGEST_LINE,
                start_new_session=True,  # Ctrl-C in a terminal is for the interface alone
            )

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
