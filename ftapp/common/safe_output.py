"""Standard output and standard error through which no text can steer a terminal, whoever prints it.

Standard error is for people. Where nobody reads it any more, as behind `2>&1 >FILE | head`, what is printed there goes
nowhere, and the command goes on. Where nobody reads the results on standard output any more, it ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from ftapp.common.formatting import make_printable


class ScreenedStream:
    """A stream in which escape sequences, and whatever else could mislead, are shown as visible signs.

    Args:
        stream: where the text goes. All but writing is done by it.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text that is safe to show."""
        with _outlive_reader(self.stream):
            self.stream.write(make_printable(text))
        return len(text)

    def flush(self) -> None:
        """Have all that was written behind the stream."""
        with _outlive_reader(self.stream):
            self.stream.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines that are safe to show."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def screen_output() -> None:
    """Screen all that this process prints from here on: errors, warnings and tracebacks of libraries too."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, ScreenedStream):
            setattr(sys, name, ScreenedStream(stream))


def is_stderr(stream: TextIO) -> bool:
    """Tell whether a stream is standard error."""
    return get_raw_stream(sys.stderr) is stream


def lead_nowhere(stream: TextIO) -> None:
    """Lead a stream whose reader has gone to /dev/null."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


@contextmanager
def _outlive_reader(stream: TextIO) -> Iterator[None]:
    """Go on where nobody reads standard error any more."""
    try:
        yield
    except BrokenPipeError:
        if not is_stderr(stream):
            raise
        lead_nowhere(stream)


def get_raw_stream(stream: Any) -> TextIO:
    """Get the stream that is screened, for a caller that screens its own text."""
    found: TextIO = stream.stream if isinstance(stream, ScreenedStream) else stream
    return found
