"""Curves in a terminal, drawn in Braille patterns: two dots a cell across and four down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rich.text import Text

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bits of a pattern, by row and column
_BLANK = 0x2800


@dataclass
class Canvas:
    """A drawing of some cells of text, over ranges of x and y. What is drawn later covers colours, not dots.

    columns, rows: its size in cells. What lies outside of the ranges is left out.
    """

    columns: int
    rows: int
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    _cells: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)

    def column(self, x: float) -> int:
        """The column of cells in which an x lies."""
        return self._place(x, self.x_range, 2 * self.columns) // 2

    def points(self, x: Sequence[float], y: Sequence[float], style: str) -> None:
        """A dot for each point."""
        for each, value in zip(x, y, strict=True):
            across = self._place(each, self.x_range, 2 * self.columns)
            down = 4 * self.rows - 1 - self._place(value, self.y_range, 4 * self.rows)
            if 0 <= across < 2 * self.columns and 0 <= down < 4 * self.rows:
                cell = down // 4, across // 2
                self._cells[cell] = self._cells.get(cell, (0, ""))[0] | _DOTS[down % 4][across % 2], style

    def line(self, x: Sequence[float], y: Sequence[float], style: str) -> None:
        """Points joined by straight lines."""
        pairs = list(zip(x, y, strict=True))
        self.points(x[:1], y[:1], style)
        for (left, low), (right, high) in pairwise(pairs):
            count = 1 + max(
                abs(
                    self._place(right, self.x_range, 2 * self.columns)
                    - self._place(left, self.x_range, 2 * self.columns)
                ),
                abs(self._place(high, self.y_range, 4 * self.rows) - self._place(low, self.y_range, 4 * self.rows)),
            )
            shares = [step / count for step in range(1, count + 1)]
            self.points(
                [left + share * (right - left) for share in shares],
                [low + share * (high - low) for share in shares],
                style,
            )

    def text(self, rules: dict[int, str]) -> list[Text]:
        """The rows, from the top. rules: columns in which a vertical line shows behind the dots, with its style."""
        made = []
        for row in range(self.rows):
            line = Text()
            for column in range(self.columns):
                bits, style = self._cells.get((row, column), (0, ""))
                if bits:
                    line.append(chr(_BLANK + bits), style)
                else:
                    line.append("┊" if column in rules else " ", rules.get(column, ""))
            made.append(line)
        return made

    @staticmethod
    def _place(value: float, limits: tuple[float, float], count: int) -> int:
        low, high = limits
        return round((value - low) / (high - low) * (count - 1))
