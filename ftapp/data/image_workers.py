"""Processes that examine image files for this one, which stays free of the interpreter's lock meanwhile."""

from __future__ import annotations

import os
import queue
import struct
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

import msgspec

from ftapp.common.processes import make_child_environment, make_module_command
from ftapp.data.image_examination import Examined, examine

_MODULE = "ftapp.workers.check_images"
_MOST = 8  # processes, of 45 MiB each
_LENGTH = struct.Struct("<Q")


class ExamineRequest(msgspec.Struct, array_like=True):
    """The files of a request.

    Attributes:
        paths: The path of each, as the system has it.
        whole: As in `examine`.
    """

    paths: list[bytes]
    whole: bool


class ImageWorkers:
    """Processes that examine files until the context ends. Where one dies, its files are examined in this process."""

    def __init__(self) -> None:
        count = min(_MOST, os.cpu_count() or 1)
        pipes = subprocess.PIPE
        self._processes = [
            subprocess.Popen(
                make_module_command(_MODULE), stdin=pipes, stdout=pipes, env=make_child_environment(), bufsize=0
            )
            for _ in range(count)
        ]
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        for process in self._processes:
            self._idle.put(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
            process.wait()

    def examine(self, paths: Sequence[str], *, whole: bool) -> Examined:
        """Examine files in the next idle process. Any number of threads may call it at once.

        A thread more than there are processes has the next request ready when a process is idle.

        Args:
            paths: The files.
            whole: As in `ftapp.data.image_examination.examine`.

        Returns:
            What was found.
        """
        request = msgspec.msgpack.encode(ExamineRequest(list(map(os.fsencode, paths)), whole))
        process = self._idle.get()
        try:
            if process.stdin and process.stdout:
                write_frame(process.stdin, request)
                if answer := read_frame(process.stdout):
                    return msgspec.msgpack.decode(answer, type=Examined)
        except OSError:
            pass
        finally:
            self._idle.put(process)
        return examine(paths, whole=whole)


def write_frame(file: IO[bytes], content: bytes) -> None:
    """Write bytes after their number. Raises OSError where nobody reads them."""
    view = memoryview(_LENGTH.pack(len(content)) + content)
    while view:
        view = view[file.write(view) :]


def read_frame(file: IO[bytes]) -> bytes:
    """Read what `write_frame` wrote; empty at the end of the file."""
    head = _read(file, _LENGTH.size)
    return _read(file, _LENGTH.unpack(head)[0]) if head else b""


def _read(file: IO[bytes], size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size and (part := file.read(size - len(parts))):
        parts += part
    return bytes(parts) if len(parts) == size else b""
