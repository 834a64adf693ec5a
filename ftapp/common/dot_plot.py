"""Plots in a terminal, in the Braille dots of textual-hires-canvas: two dots a cell across and four down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from rich.text import Text

_ACROSS, _DOWN = 2, 4  # dots of a cell


class DotPlot:
    """A drawing over ranges of x and y, as rows of text.

    The canvas is a widget of Textual, which draws without an app as well. A style covers the dots that were drawn
    before in the same cell.

    Attributes:
        columns: The width in cells.
        rows: The height in cells.
    """

    def __init__(self, columns: int, rows: int, x_range: tuple[float, float], y_range: tuple[float, float]) -> None:
        """Make an empty plot.

        Args:
            columns: The width in cells.
            rows: The height in cells.
            x_range: The x of the leftmost and of the rightmost dots.
            y_range: The y of the lowest and of the highest dots.
        """
        from textual_hires_canvas import Canvas  # here, since it imports NumPy, for which light commands do not wait

        self.columns, self.rows = columns, rows
        self._x_range, self._y_range = x_range, y_range
        self._canvas = Canvas(columns, rows)

    def column(self, x: float) -> int:
        """Find the column of cells in which an x lies; it may be outside of the plot."""
        return self._dot(x, 0)[0] // _ACROSS

    def draw_points(self, x: Sequence[float], y: Sequence[float], style: str) -> None:
        """Draw a dot for each point. Points outside of the ranges are left out.

        Args:
            x: The x of each point.
            y: The y of each point.
            style: The colour, as Rich takes it.
        """
        self._draw([self._dot(*point) for point in zip(x, y, strict=True)], style)

    def draw_line(self, x: Sequence[float], y: Sequence[float], style: str) -> None:
        """Draw straight lines from point to point.

        The canvas has lines of its own, but it clips them a cell before its right and lower edges (0.14.0).

        Args:
            x: The x of each point.
            y: The y of each point.
            style: The colour, as Rich takes it.
        """
        points = list(zip(x, y, strict=True))
        dots = [self._dot(*point) for point in points[:1]]
        for first, last in pairwise(points):
            dots += self._join(first, last)
        self._draw(dots, style)

    def text(self, rules: Mapping[int, str]) -> list[Text]:
        """Return the rows, from the top.

        Args:
            rules: The styles of vertical lines behind the dots, by the column.

        Returns:
            A line of text for each row of cells.
        """
        made = []
        for row in range(self.rows):
            line = Text()
            for column in range(self.columns):
                sign, style = self._canvas.get_pixel(column, row)
                if sign == " " and column in rules:
                    sign, style = "┊", rules[column]
                line.append(sign, style)
            made.append(line)
        return made

    def _dot(self, x: float, y: float) -> tuple[int, int]:
        """The dot of a point, counted from the left and from the top."""
        across = round(_share(x, self._x_range) * (_ACROSS * self.columns - 1))
        lowest = _DOWN * self.rows - 1
        return across, lowest - round(_share(y, self._y_range) * lowest)

    def _join(self, first: tuple[float, float], last: tuple[float, float]) -> Iterator[tuple[int, int]]:
        """The dots after the first point up to the last, each next to the one before."""
        (left, top), (right, bottom) = self._dot(*first), self._dot(*last)
        count = 1 + max(abs(right - left), abs(bottom - top))
        for step in range(1, count + 1):
            share = step / count
            yield self._dot(first[0] + share * (last[0] - first[0]), first[1] + share * (last[1] - first[1]))

    def _draw(self, dots: Sequence[tuple[int, int]], style: str) -> None:
        with self._canvas.batch_refresh():
            self._canvas.set_hires_pixels([(across / _ACROSS, down / _DOWN) for across, down in dots], style=style)


def _share(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return (value - low) / (high - low)
