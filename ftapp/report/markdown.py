"""Texts of others in Markdown: they are shown as they are, and never read as headings, links, HTML or tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ftapp.common.formatting import make_one_line, make_printable

_SIGNS = re.compile(r"[\\`*\[\]<|]|~(?=~)|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_AT_START = re.compile(r"^(?=[#>+=-])|(?<=^\d)(?=[.)])|(?<=^\d\d)(?=[.)])")


def escape_text(text: str) -> str:
    """A text as a part of a line, or at its beginning."""
    return _AT_START.sub(r"\\", _SIGNS.sub(r"\\\g<0>", make_one_line(text)))


def format_code(text: str) -> str:
    """A name as code, within a line."""
    shown = make_one_line(text) or " "
    ticks = "`" * (_measure_longest(shown) + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{ticks}{space}{shown}{space}{ticks}"


def format_block(language: str, lines: Sequence[str]) -> list[str]:
    """Lines of code."""
    shown = [make_printable(line) for line in "\n".join(lines).split("\n")]
    ticks = "`" * max(3, 1 + max(map(_measure_longest, shown), default=0))
    return [f"{ticks}{language}", *shown, ticks]


def format_quote(text: str, indent: str = "") -> list[str]:
    """A text of several lines as a quotation."""
    return [f"{indent}> {escape_text(line)}".rstrip() for line in text.strip().split("\n")]


def _measure_longest(text: str) -> int:
    """The length of the longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)
