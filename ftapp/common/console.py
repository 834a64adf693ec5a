"""Styled output: Rich's console as ftapp uses it, in which text is text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ftapp.common.formatting import make_printable
from ftapp.common.safe_output import get_raw_stream, is_stderr, lead_nowhere

UNLIMITED = 10_000
"""Columns of a file or a pipe, where there is no edge to wrap lines at."""


class PlainConsole(Console):
    """A console on which text is text: square brackets are no markup, and escape sequences are shown.

    Args:
        file: standard output by default.
        how: the options of Rich's console. A file has unlimited columns.
    """

    def __init__(self, file: TextIO | None = None, **how: Any) -> None:
        stream = get_raw_stream(sys.stdout if file is None else file)
        if not stream.isatty():
            how.setdefault("width", UNLIMITED)
        super().__init__(file=stream, markup=False, emoji=False, highlight=False, **how)

    def on_broken_pipe(self) -> None:
        """Go on where nobody reads standard error any more; end the program where nobody reads its results."""
        stream: Any = self.file
        if not is_stderr(stream):
            super().on_broken_pipe()
        lead_nowhere(stream)
        self.quiet = True

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does, with text that is safe to show, and without spaces at the ends of a file's lines."""
        made = map(_make_safe, super().render(renderable, options))
        return made if self.is_terminal else _strip_lines(made)  # a file has no controls, which have no lines


def _make_safe(segment: Segment) -> Segment:
    # What controls the console is its own, such as in a progress bar.
    return segment if segment.control else Segment(make_printable(segment.text), segment.style)


def _strip_lines(segments: Iterable[Segment]) -> Iterator[Segment]:
    """Leave out spaces at the ends of lines, with which tables fill their last column."""
    spaces: list[Segment] = []  # that end the line so far
    for segment in segments:
        *ended, rest = segment.text.split("\n")
        for line in ended:
            if text := line.rstrip(" "):
                yield from spaces
                yield Segment(text, segment.style)
            yield Segment.line()
            spaces = []
        if text := rest.rstrip(" "):
            yield from spaces
            yield Segment(text, segment.style)
            spaces = []
        if len(text) < len(rest):
            spaces.append(Segment(rest[len(text) :], segment.style))
    yield from spaces
