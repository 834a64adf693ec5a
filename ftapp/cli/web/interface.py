"""The process of an interface behind a page: how it is forked, and the pipes to it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from ftapp.common import user_folders
from ftapp.common.confinement import Confinement
from ftapp.common.person import Person
from ftapp.tui.piped import run_piped

_END_SECONDS = 10.0
_LARGEST_TERMINAL = 1000  # columns or rows
_DRIVER = "ftapp.tui.terminal.web_driver:WebDriver"
# Textual reads these when it is imported. Fewer frames leave more of the processor to other interfaces and to runs.
_TEXTUAL = {"TEXTUAL_DRIVER": _DRIVER, "TEXTUAL_FPS": "30", "TEXTUAL_COLOR_SYSTEM": "truecolor"}


@dataclass(frozen=True)
class InterfaceOptions:
    """What all interfaces of a server are opened with.

    Attributes:
        runs_dir: The folder of runs; None for the default.
        offline: Whether runs make no network call.
        folders: The folders with data that students may read.
    """

    runs_dir: Path | None = None
    offline: bool = False
    folders: tuple[Path, ...] = ()


def start_forking() -> None:
    """Start the process that imports the interface once and forks a process for each page."""
    os.environ.update(_TEXTUAL)
    forkserver.set_forkserver_preload(["ftapp.tui.preloaded"])
    forkserver.ensure_running()


@dataclass
class _Pipes:
    """The ends of a process's pipes on this side, under the names that `AppService` uses."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader


class Interface(AppService):
    """The process of an interface. `ended` is set once it has ended."""

    def __init__(
        self,
        options: InterfaceOptions,
        person: Person,
        downloads: DownloadManager,
        *,
        write_bytes: Callable[[bytes], Awaitable[None]],
        write_str: Callable[[str], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        """Prepare an interface; `start` starts its process.

        Args:
            options: What it is opened with.
            person: Who uses it.
            downloads: The files that it hands to browsers.
            write_bytes: Takes what it draws.
            write_str: Takes what it asks of the page.
            close: Called when it has ended.
        """
        super().__init__("", write_bytes=write_bytes, write_str=write_str, close=close, download_manager=downloads)
        self._options, self._person = options, person
        self.ended = asyncio.Event()
        self._forked: Any = None

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Any:
        variables = {**self._person.environment, "COLUMNS": str(width), "ROWS": str(height)}
        variables["TERM_PROGRAM"] = "textual"
        if self._person.role == "student":
            runs = user_folders.runs(self._options.runs_dir)
            variables |= Confinement.make(self._person.name, runs, self._options.folders).environment
        input_end, stdin = multiprocessing.Pipe(duplex=False)
        stdout, output_end = multiprocessing.Pipe(duplex=False)
        stderr, error_end = multiprocessing.Pipe(duplex=False)
        theirs = (input_end, output_end, error_end)
        self._forked = multiprocessing.get_context("forkserver").Process(
            target=run_piped, args=(*theirs, variables, self._options.runs_dir, self._options.offline)
        )
        await asyncio.to_thread(self._forked.start)
        for end in theirs:
            end.close()
        writer, out, error = await _open_writer(stdin), await _open_reader(stdout), await _open_reader(stderr)
        self._process = self._stdin = None
        pipes: Any = _Pipes(writer, out, error)
        self._process, self._stdin = pipes, writer
        return pipes

    async def set_terminal_size(self, width: int, height: int) -> None:
        """Tell it about another size of its terminal. A page can ask for any, but memory holds no endless terminal."""
        await super().set_terminal_size(*limit_size(width, height))

    async def redraw(self) -> None:
        """Let it draw everything again, for a terminal that shows nothing yet."""
        await self.send_meta({"type": "redraw"})

    async def run(self) -> None:
        """Pass on what it draws, until its process ends."""
        try:
            await super().run()
        finally:
            self.stdin.close()
            await asyncio.to_thread(self._forked.join, _END_SECONDS)
            self.ended.set()
            await self.remote_close()

    async def end(self) -> None:
        """End it; where it does not end by itself, kill its process."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop(), _END_SECONDS)
        if self._forked and self._forked.is_alive():
            self._forked.kill()


def limit_size(width: int, height: int) -> tuple[int, int]:
    """Bring the size that a page asks for within bounds.

    Args:
        width: Columns.
        height: Rows.

    Returns:
        Columns and rows.

    Raises:
        TypeError: They are no numbers.
    """
    return min(max(width, 1), _LARGEST_TERMINAL), min(max(height, 1), _LARGEST_TERMINAL)


async def _open_reader(end: Connection) -> asyncio.StreamReader:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    with end:
        pipe = os.fdopen(os.dup(end.fileno()), "rb", buffering=0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


async def _open_writer(end: Connection) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    with end:
        pipe = os.fdopen(os.dup(end.fileno()), "wb", buffering=0)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)
