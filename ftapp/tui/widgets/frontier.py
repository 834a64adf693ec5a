"""The trials of a sweep by cost and metric, with the frontier that no trial beats in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from textual.content import Content

from ftapp.experiments.sweep.trials import find_frontier
from ftapp.recipe.metrics import Metric
from ftapp.tui.curves import Floats
from ftapp.tui.widgets.plot import Plot

_ROOM = 0.05  # of an axis, beyond the outermost points


class Frontier(Plot):
    """Draws a point for each trial, and the frontier as a line."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("Cost and metric", id=id)
        self._points: Floats = np.empty((0, 2))
        self._front: list[int] = []

    def show_trials(self, points: Sequence[tuple[float, float]], metric: Metric, cost: str) -> None:
        """Draw trials.

        Args:
            points: A cost and a value of the metric each.
            metric: The metric.
            cost: The unit of costs.
        """
        self._points = np.array(points, np.float64).reshape(-1, 2)
        self._front = find_frontier(points, metric)
        self.border_title = Content(f"Validation {metric.label} over {cost}")
        count = len(self._front)
        self.border_subtitle = Content(f"◆ {count} of {len(points)} on the frontier" if count else "")
        self.redraw_mounted()

    @property
    def empty(self) -> bool:
        return not len(self._points)

    def redraw(self) -> None:
        self.make_room()
        self.clear()
        if not len(self._points):
            return
        x, y = self._points.T
        front_x, front_y = self._points[self._front].T
        self.set_xlimits(*_widen(x))
        self.set_ylimits(*_widen(y))
        if len(front_x) > 1:
            self.plot(front_x, front_y, line_style=self.color("accent").hex, hires_mode=self.mode)
        self.scatter(x, y, marker="•", marker_style=self.color("primary").hex)
        self.scatter(front_x, front_y, marker="◆" if self.mode else "#", marker_style=self.color("accent").hex)


def _widen(values: Floats) -> tuple[float, float]:
    """Return the ends of an axis with room for whole signs at both."""
    low, high = float(values.min()), float(values.max())
    room = _ROOM * (high - low or abs(low) or 1.0)
    return low - room, high + room
