"""The losses of two runs against each other, with the line of equal losses."""

from __future__ import annotations

import numpy as np
from textual.content import Content

from ftapp.tui.comparison import drop_hidden_points
from ftapp.tui.curves import Floats
from ftapp.tui.widgets.plot import Plot


class Scatter(Plot):
    """Draws a point for each step that both runs have taken."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("Losses at equal steps", id=id)
        self._x: Floats = np.empty(0)
        self._y: Floats = np.empty(0)
        self._names = ("", "")

    def show_pair(self, x: Floats, y: Floats, names: tuple[str, str]) -> None:
        """Draw losses.

        Args:
            x: (steps,), the losses of the first run.
            y: (steps,), those of the second run.
            names: The names of the two runs.
        """
        self._x, self._y, self._names = x, y, names
        self.redraw_mounted()

    @property
    def empty(self) -> bool:
        return not len(self._x)

    def redraw(self) -> None:
        width, height = self.make_room()
        self.clear()
        finite = np.isfinite(self._x) & np.isfinite(self._y)
        x, y = self._x[finite], self._y[finite]
        if len(x):
            low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
            margin = 0.02 * (high - low) or 0.1
            ends = [low - margin, high + margin]
            self.plot(ends, ends, line_style=self.color("border").hex, hires_mode=self.mode)
            dots = drop_hidden_points(x, y, 2 * width, 4 * height)
            self.scatter(*dots, marker="o", marker_style=self.color("primary").hex, hires_mode=self.mode)
        self._label()

    def _label(self) -> None:
        first, second = self._names
        self.border_title = Content(f"{self._title}: {second} over {first}" if first else self._title)
        below, pairs = int((self._y < self._x).sum()), len(self._x)
        words = f"{second} lower at {below / pairs:.0%} of {pairs:,} steps" if pairs else ""
        if pairs and np.array_equal(self._x, self._y):
            words = f"equal at all {pairs:,} steps"
        self.border_subtitle = Content(words or ("no common steps" if first else ""))
