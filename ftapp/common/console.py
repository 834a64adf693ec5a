"""Styled output: Rich's console as ftapp uses it, in which text is text."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ftapp.common.formatting import make_printable
from ftapp.common.safe_output import get_raw_stream

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

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does, with text that is safe to show."""
        for segment in super().render(renderable, options):
            if segment.control:  # the console's own, such as those of a progress bar
                yield segment
            else:
                yield Segment(make_printable(segment.text), segment.style)
