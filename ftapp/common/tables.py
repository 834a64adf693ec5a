"""Tables and text of the command line at any width: no line is wider than the terminal, and no word is broken."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from ftapp.common.console import UNLIMITED, PlainConsole
from ftapp.common.formatting import make_one_line, make_printable

_GAP = 2  # cells between columns
_CUT = "…"
_SEPARATORS = ("/,;=&#?", "/,;=&#?.:", "/,;=&#?.:_-")
"""Behind which a word is divided that is wider than its line, the parts of a path before those of its names."""
_HASH = re.compile(r"[0-9a-f]{32,}")
_NARROWEST = 16  # cells of a column whose words are divided; with less, the columns do not stand beside each other


@dataclass(frozen=True)
class Column:
    """A column of a table with one line a row.

    rank: its importance, 0 for the most important; the columns with the highest rank are left out first. least: how
    many cells it can be shortened to, None for a column that is never shortened. is_name: names are shortened in the
    middle, and only after all columns of rank 2 and above are left out; other text is shortened at its end, before
    that. Columns without a value are left out before all others.
    """

    name: str
    rank: int = 0
    right: bool = False
    least: int | None = None
    is_name: bool = False


def measure_width(stream: TextIO) -> int | None:
    """The width of the terminal that a stream writes to, in cells; None for a file or a pipe."""
    return PlainConsole(stream).width if stream.isatty() else None


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout, a line a row."""
    _print_lines(lay_out_lines(columns, rows, measure_width(sys.stdout)))


def print_wrapped(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout whose cells are wrapped at their words."""
    _print_lines(wrap_rows(header, rows, measure_width(sys.stdout)))


def print_text(text: str, stream: TextIO | None = None) -> None:
    """Print a text, by default on stdout, wrapped at its words where the stream is a terminal."""
    stream, text = stream or sys.stdout, make_printable(text)
    width = measure_width(stream)
    print("\n".join(line for part in text.split("\n") for line in wrap(part, width)), file=stream, flush=True)


def _print_lines(lines: Sequence[str]) -> None:
    """Print a header and the lines below it."""
    header, *below = lines
    # As one text: Rich takes a tenth of a millisecond for each, and a list may have thousands of lines.
    PlainConsole().print(Text.assemble("\n", (header, "bold"), "\n", "\n".join(below)), soft_wrap=True)


def lay_out_lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """A header, a rule and a line for each row, none of them wider than `width`; None for no limit."""
    cells = [[make_one_line(cell) for cell in row] for row in rows]
    natural = {
        column: max(map(cell_len, (column.name, *(row[index] for row in cells))))
        for index, column in enumerate(columns)
    }
    empty = {column for index, column in enumerate(columns) if not any(row[index] for row in cells)}
    widths = _fit(natural, empty, UNLIMITED if width is None else width)
    return _draw(
        [
            [_shorten(row[index], widths[column], column) for index, column in enumerate(columns) if column in widths]
            for row in [[column.name for column in columns], *cells]
        ],
        list(widths.values()),
        [column.right for column in widths],
    )


def _fit(natural: dict[Column, int], empty: set[Column], width: int) -> dict[Column, int]:
    """The columns that fit with the widths that they get. natural: what each takes; empty: those without a value."""
    least = {column: min(column.least or size, size) for column, size in natural.items()}
    kept = list(natural)

    def drop(limit: int, sizes: dict[Column, int]) -> None:
        while sum(sizes[column] + _GAP for column in kept) - _GAP > width:
            last = max(kept, key=lambda column: (column in empty, column.rank))
            if (last.rank <= limit and last not in empty) or len(kept) == 1:
                return
            kept.remove(last)

    drop(1, {column: natural[column] if column.is_name else least[column] for column in natural})
    drop(0, least)
    widths = {column: natural[column] for column in kept}
    excess = sum(size + _GAP for size in widths.values()) - _GAP - width
    for column in sorted(kept, key=lambda column: (column.is_name, -column.rank)):
        given = min(max(0, excess), widths[column] - least[column])
        widths[column] -= given
        excess -= given
    for column in kept:
        if excess > 0:  # narrower than anything was made for
            given = min(excess, widths[column] - 1)
            widths[column] -= given
            excess -= given
    return widths


def _shorten(text: str, width: int, column: Column) -> str:
    return shorten_middle(text, width) if column.is_name else shorten_end(text, width)


def shorten_middle(name: str, width: int) -> str:
    """A name of at most so many cells: both its ends, with … between them."""
    if cell_len(name) <= width:
        return name
    room = max(0, width - 1)
    end = room // 2
    return f"{set_cell_size(name, room - end).rstrip()}{_CUT}{_take_last_cells(name, end)}"


def _take_last_cells(text: str, width: int) -> str:
    while cell_len(text) > width:
        text = text[1:]
    return text


def shorten_end(text: str, width: int) -> str:
    """A text of at most so many cells: its first words, with … where some are left out."""
    if cell_len(text) <= width:
        return text
    start = set_cell_size(text, max(0, width - 1))
    whole = start if text[len(start) :].startswith(" ") else start.rpartition(" ")[0]
    return f"{(whole or start).rstrip(' ,;:')}{_CUT}"


def wrap_rows(header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """A header, a rule and the rows with their cells wrapped at words.

    Where the columns do not fit beside each other, each row becomes a block: its first cell, then the others below it,
    each with the header's word for it.
    """
    table = [[make_printable(cell) for cell in row] for row in (header, *rows)]
    if width is not None:
        table = [[_HASH.sub(lambda found: f"{found[0][:8]}{_CUT}", cell) for cell in row] for row in table]
    columns = list(zip(*table, strict=True))
    natural = [max(map(cell_len, column)) for column in columns]
    if width is None:
        return _draw(table, natural, [False] * len(natural))
    room = width - _GAP * (len(natural) - 1)
    words = [max(_measure_longest_word(cell) for cell in column) for column in columns]
    widest = next((cap for cap in range(max(words), 0, -1) if sum(min(word, cap) for word in words) <= room), 0)
    if widest < min(_NARROWEST, max(words)):
        return list(_make_blocks(table, width))
    widths = [min(word, widest) for word in words]
    while sum(widths) < room and widths != natural:  # cell by cell to the column that is cut most
        index = max(range(len(widths)), key=lambda index: natural[index] / max(1, widths[index]))
        widths[index] += 1
    lines: list[list[str]] = []
    for row in table:
        parts = [wrap(cell, size) for cell, size in zip(row, widths, strict=True)]
        height = max(map(len, parts))
        lines += [[part[line] if line < len(part) else "" for part in parts] for line in range(height)]
        if row is table[0]:
            lines.append([])  # where the rule is drawn
    return _draw(lines, widths, [False] * len(widths))


def _make_blocks(table: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    header, *rows = table
    yield from wrap(header[0], width) if header[0] else ()
    for first, *others in rows:
        yield from wrap(first, width)
        for name, cell in zip(header[1:], others, strict=True):
            for number, line in enumerate(wrap(f"{name}: {cell or '–'}", max(1, width - 4))):
                yield f"{'    ' if number else '  '}{line}"


def wrap(text: str, width: int | None) -> list[str]:
    """A line of text as lines of at most so many cells, broken at its spaces; its indentation is kept.

    A word that is wider than a line alone is divided behind its separators, such as the slashes of a path.
    """
    if width is None or cell_len(text) <= width:
        return [text]
    indent = text[: len(text) - len(text.lstrip(" "))][: max(0, width - 1)]
    room = max(1, width - len(indent))
    lines = [""]
    for word in text.split():
        pieces = [word] if cell_len(word) <= room else _divide(word, room)
        for number, piece in enumerate(pieces):
            joined = f"{lines[-1]} {piece}" if lines[-1] and not number else f"{lines[-1]}{piece}"
            if cell_len(joined) <= room:
                lines[-1] = joined
            else:
                lines.append(piece)
    return [indent + line for line in lines if line]


def _divide(word: str, width: int) -> list[str]:
    """A word in pieces of at most so many cells."""
    pieces = [word]
    for signs in _SEPARATORS:
        pieces = [
            part
            for piece in pieces
            for part in (
                [piece] if cell_len(piece) <= width else re.findall(f"[^{signs}]*[{signs}]+|[^{signs}]+", piece)
            )
        ]
    return [part for piece in pieces for part in chop_cells(piece, width)]


def _measure_longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _draw(rows: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """Lines of cells, with a rule below the header: where an empty row stands, else below the first."""
    rule = "─" * (sum(widths) + _GAP * (len(widths) - 1))
    lines = [
        (" " * _GAP)
        .join(
            " " * (size - cell_len(cell)) + cell if is_right else cell + " " * (size - cell_len(cell))
            for cell, size, is_right in zip(row, widths, right, strict=True)
        )
        .rstrip()
        if row
        else rule
        for row in rows
    ]
    return lines if rule in lines else [lines[0], rule, *lines[1:]]
