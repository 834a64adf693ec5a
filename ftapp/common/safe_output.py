"""Standard output and standard error through which no text can steer a terminal, whoever prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
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
        self.stream.write(make_printable(text))
        return len(text)

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


def get_raw_stream(stream: Any) -> TextIO:
    """Get the stream that is screened, for a caller that screens its own text."""
    found: TextIO = stream.stream if isinstance(stream, ScreenedStream) else stream
    return found
