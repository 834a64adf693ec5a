"""The curve of a learning rate range test: the loss over the logarithm of the rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ftapp.analysis.lr_suggestions import LossCurve, choose_window
from ftapp.common.ticks import shorten_number
from ftapp.tui.widgets.plot import Plot, Ticks

_FAINT = 0.65  # how much of the background is in the colour of raw points under the smoothed line


class RangePlot(Plot):
    """Draws a curve, with vertical lines for the rate of the phase and the rate to take."""

    def __init__(self) -> None:
        super().__init__("Loss")
        self._x_formatter = _Powers()
        self._curve: LossCurve | None = None
        self._ends = (-6.0, 1.0)
        self._marks: list[tuple[float, str]] = []

    @property
    def empty(self) -> bool:
        return self._curve is None or len(self._curve.losses) < 2

    def show(
        self, curve: LossCurve | None, rates: tuple[float, float], marks: Sequence[tuple[float, str]] = ()
    ) -> None:
        """Draw a range test.

        Args:
            curve: The steps so far; None before the first one.
            rates: The lowest and the highest rate of the test.
            marks: Rates with a colour of the theme, for vertical lines.
        """
        self._curve, self._ends = curve, (math.log10(rates[0]), math.log10(rates[1]))
        self._marks = [(math.log10(rate), color) for rate, color in marks]
        self.redraw_mounted()

    def redraw(self) -> None:
        self.make_room()
        self.clear()
        curve = self._curve
        if curve is None or self.empty:
            return
        low, high = choose_window(curve.losses, curve.smoothed)
        self.set_xlimits(*self._ends)
        self.set_ylimits(low, high)
        line = self.color("primary")
        faint = line.blend(self.color("background"), _FAINT)
        for rates, losses, color in (
            (curve.rates, curve.losses, faint),
            (curve.centers, curve.smoothed, line),
        ):
            self.plot(np.log10(rates), np.clip(losses, low, high), line_style=color.hex, hires_mode=self.mode)
        for at, name in self._marks:
            if self._ends[0] <= at <= self._ends[1]:
                self.add_v_line(at, line_style=self.color(name).hex)


class _Powers(Ticks):
    """Ticks at powers of ten of an axis of base-10 logarithms."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        powers = [float(power) for power in range(math.ceil(min_ - 1e-9), math.floor(max_ + 1e-9) + 1)]
        return powers[:: max(1, -(-len(powers) // (self.room + 1)))]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [shorten_number(float(f"{10**tick:.1g}")) for tick in ticks]
