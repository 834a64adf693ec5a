"""Standard output and standard error through which no text can steer a terminal, whoever prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from ftapp.common.formatting import printable


class Screened:
    """A stream of text in which escape sequences, and whatever else could mislead, are seen instead of obeyed.

    stream: where it goes. All but writing is as it is there.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def screen_output() -> None:
    """From here on, all that this process prints passes through: errors, warnings and tracebacks of libraries too."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Screened):
            setattr(sys, name, Screened(stream))


def raw_stream(stream: Any) -> TextIO:
    """The stream itself, for who screens what it writes."""
    found: TextIO = stream.stream if isinstance(stream, Screened) else stream
    return found
