"""A chart of curves: zoom and pan, smoothing, a logarithmic axis, and a cursor that reads values out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.color import Color, ColorParseError
from textual.geometry import Offset
from textual.reactive import reactive
from textual_hires_canvas import Canvas, HiResMode
from textual_plot import PlotWidget
from textual_plot.axis_formatter import AxisFormatter

from ftapp.tui.curves import Curve, Floats, smoothed, thin, window

_FAINT = 0.65  # how much of the background is in the colour of raw points under a smoothed line


class Chart(PlotWidget):
    """Draws curves in the colours of the theme. Its border's title is the legend, its subtitle the read-out.

    curves: those that are drawn; smooth, logarithmic: how; at: where the cursor is on the x axis, None for nowhere.
    """

    BINDING_GROUP_TITLE = "Chart"
    DEFAULT_CSS = """
    Chart {
        & > .plot--axis { color: $surface; }
        &:focus > .plot--axis { color: $surface; }
        & > .plot--tick { color: $secondary; text-style: none; }
        & > .plot--label { color: $secondary; text-style: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "toggle_smooth", "Smooth"),
        Binding("l", "toggle_log", "Log scale"),
        Binding("less_than_sign,shift+left", "cursor(-1)", "Cursor left", show=False),
        Binding("greater_than_sign,shift+right", "cursor(1)", "Cursor right", show=False),
        Binding("escape", "leave_cursor", "Hide the cursor", show=False),
        Binding("r", "reset_scales", "Whole chart", show=False),
        Binding("+", "zoom_in", "Zoom in", show=False),
        Binding("-", "zoom_out", "Zoom out", show=False),
        Binding("left", "pan_left", "Pan left", show=False),
        Binding("right", "pan_right", "Pan right", show=False),
        Binding("up", "pan_up", "Pan up", show=False),
        Binding("down", "pan_down", "Pan down", show=False),
    ]

    smooth = reactive(True)
    logarithmic = reactive(False)
    at: reactive[float | None] = reactive(None)

    _x_formatter: _Ticks
    _y_formatter: _Ticks

    def __init__(self, title: str, *, id: str | None = None, x_name: str = "step", smooth: bool = True) -> None:
        """title: what the y axis shows; x_name: what the x axis counts."""
        super().__init__(id=id, classes="pane")
        self._title, self._x_name = title, x_name
        self.curves: list[Curve] = []
        self._marks: list[float] = []
        self._flat_x, self._flat_y = False, False  # whether limits were set here, and not by somebody who zoomed
        self.set_reactive(Chart.smooth, smooth)
        self._x_formatter = _Ticks()
        self._y_formatter = _Ticks()

    def on_mount(self) -> None:
        super().on_mount()
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, 8
        self.redraw()

    def show(self, curves: Sequence[Curve], marks: Sequence[float] = ()) -> None:
        """Draw these curves. marks: where vertical lines stand, such as the first step of a phase."""
        self.curves, self._marks = list(curves), list(marks)
        if self.is_mounted:
            self.redraw()

    def redraw(self) -> None:
        """Draw the curves anew for the size, scales and theme of the moment."""
        low, high = self._range()
        width, height = self.size.width - self.margin_left, self.size.height - self.margin_bottom
        self._x_formatter.room, self._y_formatter.room = max(2, width // 9), max(2, height // 2)
        self._open_flat()
        self.clear()
        mode = HiResMode.BRAILLE if self.app.console.encoding.startswith("utf") else None
        buckets = max(8, width)
        for curve in self.curves:
            color = self._color(curve.color)
            y = self._scaled(curve.y)
            x = curve.x[np.isfinite(y)]
            y = y[np.isfinite(y)]
            if curve.noisy and self.smooth and window(len(y)) > 1:
                faint = color.blend(self._color("background"), _FAINT)
                self.plot(*thin(x, y, low, high, buckets), line_style=faint.hex, hires_mode=mode)
                y = smoothed(y)
            self.plot(*thin(x, y, low, high, 2 * buckets), line_style=color.hex, hires_mode=mode)
            if curve.dots and len(x) <= buckets:
                self.scatter(x, y, marker="•" if mode else "o", marker_style=color.hex)
        for mark in self._marks:
            self.add_v_line(mark, line_style=self._color("border").hex)
        if self.at is not None:
            self.add_v_line(self.at, line_style=self._color("foreground").hex)
        self._label()

    def _open_flat(self) -> None:
        """Give curves that are all at one value, such as a constant learning rate, room around it."""
        if (self._auto_y_min and self._auto_y_max) or self._flat_y:
            self._flat_y, limits = _around([curve.y for curve in self.curves])
            self._flat_y = self._flat_y and not self.logarithmic
            self.set_ylimits(*(limits if self._flat_y else (None, None)))
        if (self._auto_x_min and self._auto_x_max) or self._flat_x:
            self._flat_x, limits = _around([curve.x for curve in self.curves])
            self.set_xlimits(*(limits if self._flat_x else (None, None)))

    def _render_plot(self) -> None:
        # Otherwise the canvas asks for a repaint at each character.
        with self.query_one("#plot", Canvas).batch_refresh():
            super()._render_plot()
            if not any(len(curve.x) for curve in self.curves):  # no axes around nothing
                for canvas in self.query(Canvas):
                    canvas.reset()

    def _range(self) -> tuple[float, float]:
        """The part of the x axis that is in sight."""
        if not (self._auto_x_min and self._auto_x_max):
            return self._x_min, self._x_max
        ends = [end for curve in self.curves if len(curve.x) for end in (curve.x[0], curve.x[-1])]
        return (float(min(ends)), float(max(ends))) if ends else (0.0, 1.0)

    def _scaled(self, y: Floats) -> Floats:
        if not self.logarithmic:
            return y
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log10(y), np.float64)

    def _color(self, name: str) -> Color:
        try:
            return Color.parse(self.app.theme_variables.get(name, name))
        except ColorParseError:  # themes of the terminal's own colours have no numbers for some
            return Color.parse("ansi_default")

    def _label(self) -> None:
        legend = Text(self._title)
        named = [curve for curve in self.curves if curve.label]
        for curve in named:
            legend.append("  ━ ", self._color(curve.color).hex).append(curve.label)
        self.border_title = legend.markup
        parts = []
        if self.at is not None:
            found = [(curve, curve.nearest(self.at)) for curve in self.curves]
            parts = [f"{self._x_name} {_short(self.at)}"]
            parts += [f"{curve.label or self._title} {point[1]:.4g}" for curve, point in found if point]
        else:
            noisy = [window(len(curve.y)) for curve in self.curves if curve.noisy]
            if self.smooth and noisy and max(noisy) > 1:
                parts.append(f"mean of {max(noisy)} {self._x_name}s")
            if self.logarithmic:
                parts.append("log scale")
        self.border_subtitle = "  ".join(parts)

    def watch_smooth(self) -> None:
        self._changed()

    def watch_logarithmic(self) -> None:
        self.set_y_formatter(_LogTicks() if self.logarithmic else _Ticks())
        self.set_ylimits(None, None)
        self._changed()

    def watch_at(self) -> None:
        self._changed()
        self.refresh_bindings()

    def _changed(self) -> None:
        if self.is_mounted:
            self.redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._changed()

    @on(events.Resize)
    def _resized(self) -> None:
        self.call_after_refresh(self.redraw)

    @on(PlotWidget.ScaleChanged)
    def _rescaled(self, event: PlotWidget.ScaleChanged) -> None:
        event.stop()
        self.redraw()

    @on(events.MouseMove)
    def _pointed(self, event: events.MouseMove) -> None:
        """The cursor follows the mouse inside the picture."""
        canvas = self.query_one("#plot", Canvas)
        offset = Offset(event.screen_x, event.screen_y) - canvas.region.offset
        if self.curves and event.button == 0 and canvas.region.contains(event.screen_x, event.screen_y):
            self._point(self.get_coordinate_from_pixel(offset.x, offset.y)[0])

    @on(events.Leave)
    def _left(self) -> None:
        if not self.is_mouse_over:
            self.at = None

    def action_toggle_smooth(self) -> None:
        """Switch smoothing of noisy curves on or off."""
        self.smooth = not self.smooth

    def action_toggle_log(self) -> None:
        """Switch between a linear and a logarithmic y axis."""
        self.logarithmic = not self.logarithmic

    def action_cursor(self, direction: int) -> None:
        """Move the cursor by a column, or to the next point where points are further apart; first to the right edge."""
        low, high = self._range()
        if self.at is None:
            self._point(high)
            return
        wanted = self.at + direction * (high - low) / max(1, self._scale_rectangle.width)
        x = self._longest()
        beyond = x[(x - self.at) * direction > 0] if x is not None else ()
        if len(beyond):
            following = float(beyond[0 if direction > 0 else -1])
            self._point(min(high, max(low, max(wanted, following) if direction > 0 else min(wanted, following))))

    def action_leave_cursor(self) -> None:
        """Hide the cursor."""
        self.at = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "leave_cursor" or self.at is not None  # without a cursor, Escape is the screen's

    def _longest(self) -> Floats | None:
        """The x of the curve that has most points."""
        return max((curve.x for curve in self.curves), key=len, default=None)

    def _point(self, x: float) -> None:
        """Put the cursor on the point nearest to x of the curve that has most of them."""
        places = self._longest()
        if places is not None and len(places):
            self.at = float(places[np.abs(places - x).argmin()])


def _around(values: Sequence[Floats]) -> tuple[bool, tuple[float, float]]:
    """Whether all values are one, and limits that leave room around it."""
    ends = [float(end) for part in values if len(part) for end in (part.min(), part.max())]
    if not ends or min(ends) != max(ends):
        return False, (0.0, 1.0)
    margin = 0.1 * abs(ends[0]) or 1.0
    return True, (ends[0] - margin, ends[0] + margin)


def _short(value: float) -> str:
    """A number in few characters: 0.25, 1e-05, 12k, 1.5M."""
    for limit, sign in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e6 if sign == 'M' else 1e3):.4g}{sign}"
    return f"{value:.4g}"


class _Ticks(AxisFormatter):
    """Ticks at 1, 2, 5 times powers of ten, labelled in few characters. room: how many fit."""

    def __init__(self) -> None:
        self.room = 5

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        least = (max_ - min_) / self.room
        power = 10.0 ** math.floor(math.log10(least))
        interval = next(step * power for step in (1, 2, 5, 10) if step * power >= 0.999 * least)
        first, last = math.ceil(min_ / interval - 1e-9), math.floor(max_ / interval + 1e-9)
        # Divided where that is exact, since products such as 3 * 0.1 are not.
        return [i / round(1 / interval) if interval < 1 else i * interval for i in range(first, last + 1)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return list(map(_short, ticks))


class _LogTicks(_Ticks):
    """Ticks of a logarithmic axis, whose coordinates are base-10 logarithms."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        ticks: list[float] = []
        for steps in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
            powers = range(math.floor(min_), math.ceil(max_) + 1)
            ticks = [tick for power in powers for step in steps if min_ <= (tick := power + math.log10(step)) <= max_]
            if len(ticks) >= 3:
                break
        return ticks[:: max(1, -(-len(ticks) // (self.room + 1)))] or [(min_ + max_) / 2]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [_short(float(f"{10**tick:.2g}")) for tick in ticks]
