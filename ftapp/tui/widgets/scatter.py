"""Losses of two runs against each other, with the line on which they are equal."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from rich.text import Text
from textual.binding import Binding, BindingType
from textual_hires_canvas import Canvas, HiResMode
from textual_plot import PlotWidget

from ftapp.tui.comparison import thinned
from ftapp.tui.curves import Floats
from ftapp.tui.widgets.chart import Chart


class Scatter(Chart, inherit_bindings=False):
    """A point for each step that both runs have taken."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "reset_scales", "Whole chart", show=False),
        Binding("+", "zoom_in", "Zoom in", show=False),
        Binding("-", "zoom_out", "Zoom out", show=False),
        Binding("left", "pan_left", "Pan left", show=False),
        Binding("right", "pan_right", "Pan right", show=False),
        Binding("up", "pan_up", "Pan up", show=False),
        Binding("down", "pan_down", "Pan down", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("Losses at equal steps", id=id)
        self._x: Floats = np.empty(0)
        self._y: Floats = np.empty(0)
        self._names = ("", "")

    def show_pair(self, x: Floats, y: Floats, names: tuple[str, str]) -> None:
        """Draw these losses, x and y of the same length. names: of the two runs, in a letter or two."""
        self._x, self._y, self._names = x, y, names
        if self.is_mounted:
            self.redraw()

    def redraw(self) -> None:
        width, height = self.size.width - self.margin_left, self.size.height - self.margin_bottom
        self._x_formatter.room, self._y_formatter.room = max(1, width // 10), max(1, height // 3)
        self.clear()
        finite = np.isfinite(self._x) & np.isfinite(self._y)
        x, y = self._x[finite], self._y[finite]
        if len(x):
            low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
            margin = 0.02 * (high - low) or 0.1
            ends = [low - margin, high + margin]
            mode = HiResMode.BRAILLE if self.app.console.encoding.startswith("utf") else None
            self.plot(ends, ends, line_style=self._color("border").hex, hires_mode=mode)
            dots = thinned(x, y, 2 * max(8, width), 4 * max(4, height))
            self.scatter(*dots, marker="o", marker_style=self._color("primary").hex, hires_mode=mode)
        self._label()

    def _render_plot(self) -> None:
        with self.query_one("#plot", Canvas).batch_refresh():
            PlotWidget._render_plot(self)
            if not len(self._x):  # no axes around nothing
                for canvas in self.query(Canvas):
                    canvas.reset()

    def _label(self) -> None:
        first, second = self._names
        self.border_title = Text(f"{self._title}: {second} over {first}").markup if first else self._title
        below, pairs = int((self._y < self._x).sum()), len(self._x)
        told = f"{second} lower at {below / pairs:.0%} of {pairs:,} steps" if pairs else ""
        self.border_subtitle = told or ("no step that both have taken" if first else "")
