"""A chart of curves with zoom, smoothing, a logarithmic axis, and a cursor that shows values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Offset
from textual.reactive import reactive
from textual_hires_canvas import Canvas
from textual_plot import PlotWidget

from ftapp.common.ticks import shorten_number
from ftapp.tui.curves import Curve, Floats, smooth, thin, window_size
from ftapp.tui.widgets.plot import Plot, Ticks

_FAINT = 0.65  # how much of the background is in the colour of raw points under a smoothed line
_MARKS = 7  # along a curve without dots, at most


class Chart(Plot):
    """Draws curves in the colours of the theme. The title of its border is the legend, the subtitle shows values.

    Attributes:
        curves: The curves.
        smooth: Whether noisy curves are smoothed.
        at: The x of the cursor; None without a cursor.
    """

    BINDING_GROUP_TITLE = "Chart"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "toggle_smooth", "Smooth"),
        Binding("l", "toggle_log", "Log scale"),
        Binding("less_than_sign,shift+left", "cursor(-1)", "Cursor left", show=False),
        Binding("greater_than_sign,shift+right", "cursor(1)", "Cursor right", show=False),
        Binding("escape", "leave_cursor", "Hide the cursor", show=False),
    ]

    smooth = reactive(True)
    at: reactive[float | None] = reactive(None)

    def __init__(self, title: str, *, id: str | None = None, x_name: str = "step", smooth: bool = True) -> None:
        """Make an empty chart.

        Args:
            title: What the y axis shows.
            id: The id of the widget.
            x_name: What the x axis counts.
            smooth: Whether noisy curves are smoothed.
        """
        super().__init__(title, id=id)
        self._x_name = x_name
        self.curves: list[Curve] = []
        self._marks: list[float] = []
        self._x_formatter = Ticks(whole=True)  # of steps
        self._flat_x, self._flat_y = False, False  # whether the limits were set here, and not by the user
        self.set_reactive(Chart.smooth, smooth)

    def rename(self, title: str) -> None:
        """Say what the y axis shows from the next drawing on."""
        self._title = title

    @property
    def empty(self) -> bool:
        return not any(len(curve.x) for curve in self.curves)

    def show(self, curves: Sequence[Curve], marks: Sequence[float] = ()) -> None:
        """Draw curves.

        Args:
            curves: The curves.
            marks: The x of vertical lines, such as the first step of a phase.
        """
        self.curves, self._marks = list(curves), list(marks)
        self.redraw_mounted()

    def redraw(self) -> None:
        low, high = self._visible_range()
        buckets, _ = self.make_room()
        mode = self.mode
        self._open_flat()
        self.clear()
        for curve in self.curves:
            color = self.color(curve.color)
            x, y = self._scale(curve.x, curve.y)
            if curve.noisy and self.smooth and window_size(curve.count) > 1:
                faint = color.blend(self.color("background"), _FAINT)
                self.plot(*thin(x, y, low, high, buckets), line_style=faint.hex, hires_mode=mode)
                x, y = self._scale(*(curve.means or (curve.x, smooth(curve.y))))
            self.plot(*thin(x, y, low, high, 2 * buckets), line_style=color.hex, hires_mode=mode)
            sign = (curve.mark or "•") if mode else "o"
            if curve.dots and len(x) <= buckets:
                self.scatter(x, y, marker=sign, marker_style=color.hex)
            elif curve.mark:
                some = np.linspace(0, len(x) - 1, min(len(x), _MARKS)).astype(np.int64)
                self.scatter(x[some], y[some], marker=sign, marker_style=color.hex)
        for mark in self._marks:
            self.add_v_line(mark, line_style=self.color("border").hex)
        if self.at is not None:
            self.add_v_line(self.at, line_style=self.color("foreground").hex)
        self._label()

    def _open_flat(self) -> None:
        """Give constant curves, such as a constant learning rate, some space above and below."""
        if (self._auto_y_min and self._auto_y_max) or self._flat_y:
            self._flat_y, limits = _limits_around([curve.y for curve in self.curves])
            self._flat_y = self._flat_y and not self.logarithmic
            self.set_ylimits(*(limits if self._flat_y else (None, None)))
        if (self._auto_x_min and self._auto_x_max) or self._flat_x:
            self._flat_x, limits = _limits_around([curve.x for curve in self.curves])
            self.set_xlimits(*(limits if self._flat_x else (None, None)))

    def _visible_range(self) -> tuple[float, float]:
        """The visible part of the x axis."""
        if not (self._auto_x_min and self._auto_x_max):
            return self._x_min, self._x_max
        ends = [end for curve in self.curves if len(curve.x) for end in (curve.x[0], curve.x[-1])]
        return (float(min(ends)), float(max(ends))) if ends else (0.0, 1.0)

    def _scale(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Scale the points of a curve. A logarithmic axis drops those that are not above 0."""
        if not self.logarithmic:
            return x, y
        above = y > 0
        return x[above], np.log10(y[above])

    def _label(self) -> None:
        legend = Text(self._title)
        named = [curve for curve in self.curves if curve.label]
        for curve in named:
            legend.append(f"  ━{curve.mark} ", self.color(curve.color).hex).append(curve.label)
        self.border_title = Content.from_rich_text(legend)
        parts = []
        if self.at is not None:
            found = [(curve, curve.nearest(self.at)) for curve in self.curves]
            parts = [f"{self._x_name} {shorten_number(self.at)}"]
            parts += [f"{curve.label or self._title} {point[1]:.4g}" for curve, point in found if point]
        else:
            noisy = [window_size(curve.count) for curve in self.curves if curve.noisy]
            if self.smooth and noisy and max(noisy) > 1:
                parts.append(f"mean of {max(noisy)} {self._x_name}s")
            if self.logarithmic:
                parts.append("log scale")
        self.border_subtitle = Content("  ".join(parts))

    def watch_smooth(self) -> None:
        self.redraw_mounted()

    def watch_logarithmic(self) -> None:
        self.set_ylimits(None, None)
        self.redraw_mounted()

    def watch_at(self) -> None:
        self.redraw_mounted()
        self.refresh_bindings()

    @on(PlotWidget.ScaleChanged)
    def _redraw_rescaled(self, event: PlotWidget.ScaleChanged) -> None:
        event.stop()
        self.redraw()

    @on(events.MouseMove)
    def _follow_mouse(self, event: events.MouseMove) -> None:
        """Move the cursor with the mouse inside the picture."""
        canvas = self.query_one("#plot", Canvas)
        offset = Offset(event.screen_x, event.screen_y) - canvas.region.offset
        if self.curves and event.button == 0 and canvas.region.contains(event.screen_x, event.screen_y):
            self._point(self.get_coordinate_from_pixel(offset.x, offset.y)[0])

    @on(events.Leave)
    def _drop_cursor(self) -> None:
        if not self.is_mouse_over:
            self.at = None

    def action_toggle_smooth(self) -> None:
        """Switch smoothing of noisy curves on or off."""
        self.smooth = not self.smooth

    def action_toggle_log(self) -> None:
        """Switch between a linear and a logarithmic y axis."""
        self.logarithmic = not self.logarithmic

    def action_cursor(self, direction: int) -> None:
        """Move the cursor by a column, or to the next point where points are wider apart; first to the right edge."""
        low, high = self._visible_range()
        if self.at is None:
            self._point(high)
            return
        wanted = self.at + direction * (high - low) / max(1, self._scale_rectangle.width)
        x = self._find_longest()
        beyond = x[(x - self.at) * direction > 0] if x is not None else ()
        if len(beyond):
            following = float(beyond[0 if direction > 0 else -1])
            self._point(min(high, max(low, max(wanted, following) if direction > 0 else min(wanted, following))))

    def action_leave_cursor(self) -> None:
        """Hide the cursor."""
        self.at = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "leave_cursor" or self.at is not None  # without a cursor, Escape is the screen's

    def _find_longest(self) -> Floats | None:
        """Find the x of the curve with most points."""
        return max((curve.x for curve in self.curves), key=len, default=None)

    def _point(self, x: float) -> None:
        """Put the cursor on the point nearest to x, of the curve with most points."""
        places = self._find_longest()
        if places is not None and len(places):
            self.at = float(places[np.abs(places - x).argmin()])


def _limits_around(values: Sequence[Floats]) -> tuple[bool, tuple[float, float]]:
    """Return whether all values are equal, and limits with some space around the value."""
    ends = [float(end) for part in values if len(part) for end in (part.min(), part.max())]
    if not ends or min(ends) != max(ends):
        return False, (0.0, 1.0)
    margin = 0.1 * abs(ends[0]) or 1.0
    return True, (ends[0] - margin, ends[0] + margin)
