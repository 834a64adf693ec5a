"""The losses of two runs against each other, with the line of equal losses."""

from __future__ import annotations

import numpy as np
from textual.content import Content

from ftapp.common.formatting import format_quantity
from ftapp.tui.comparison import LossPairs, drop_hidden_points
from ftapp.tui.widgets.plot import Plot


class Scatter(Plot):
    """Draws a point for each step that both runs have taken."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("Losses at equal steps", id=id)
        self._pairs: LossPairs | None = None
        self._names = ("", "")

    def show_pair(self, pairs: LossPairs, names: tuple[str, str]) -> None:
        """Draw losses.

        Args:
            pairs: The losses of two runs.
            names: The names of the two runs.
        """
        self._pairs, self._names = pairs, names
        self.redraw_mounted()

    @property
    def empty(self) -> bool:
        return self._pairs is None or not self._pairs.count

    def redraw(self) -> None:
        width, height = self.make_room()
        self.clear()
        if self._pairs is not None:
            self._draw(self._pairs, 2 * width, 4 * height)
        self._label()

    def _draw(self, pairs: LossPairs, columns: int, rows: int) -> None:
        """Draw the pairs of finite losses on a canvas of so many dots."""
        finite = np.isfinite(pairs.x) & np.isfinite(pairs.y)
        x, y = pairs.x[finite], pairs.y[finite]
        if not len(x):
            return
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        margin = 0.02 * (high - low) or 0.1
        ends = [low - margin, high + margin]
        self.plot(ends, ends, line_style=self.color("border").hex, hires_mode=self.mode)
        dots = drop_hidden_points(x, y, columns, rows)
        self.scatter(*dots, marker="o", marker_style=self.color("primary").hex, hires_mode=self.mode)

    def _label(self) -> None:
        (first, second), pairs = self._names, self._pairs
        self.border_title = Content(f"{self._title}: {second} over {first}" if first else self._title)
        words = "no common steps" if first else ""
        if pairs is not None and pairs.count:
            words = f"{second} lower at {pairs.lower / pairs.count:.0%} of {format_quantity(pairs.count, 'step')}"
            if pairs.are_equal:
                words = f"equal at all {format_quantity(pairs.count, 'step')}"
        self.border_subtitle = Content(words)
