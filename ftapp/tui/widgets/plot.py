"""The base of charts and scatter plots: axes, ticks, keys, and colours of the theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from textual import events, on
from textual.binding import Binding, BindingType
from textual.color import Color, ColorParseError
from textual.reactive import reactive
from textual_hires_canvas import Canvas, HiResMode
from textual_plot import PlotWidget
from textual_plot.axis_formatter import AxisFormatter

from ftapp.common.ticks import Axis, fit_axis, shorten_number


class Plot(PlotWidget):
    """A picture with two axes. Subclasses draw it in `redraw`, and say by `empty` whether there is anything to draw.

    logarithmic: whether what is drawn on the y axis are base-10 logarithms.
    """

    DEFAULT_CSS = """
    Plot {
        & > .plot--axis { color: $surface; }
        &:focus > .plot--axis { color: $surface; }
        & > .plot--tick { color: $secondary; text-style: none; }
        & > .plot--label { color: $secondary; text-style: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "reset_scales", "Whole chart", show=False),
        Binding("+", "zoom_in", "Zoom in", show=False),
        Binding("-", "zoom_out", "Zoom out", show=False),
        Binding("left", "pan_left", "Pan left", show=False),
        Binding("right", "pan_right", "Pan right", show=False),
        Binding("up", "pan_up", "Pan up", show=False),
        Binding("down", "pan_down", "Pan down", show=False),
    ]

    logarithmic = reactive(False)

    _x_formatter: Ticks
    _y_formatter: RowTicks

    def __init__(self, title: str, *, id: str | None = None) -> None:
        """title: what the border says the picture shows."""
        super().__init__(id=id, classes="pane")
        self._title = title
        self._x_formatter, self._y_formatter = Ticks(), RowTicks()
        self._seen: tuple[float, float] | None = (
            None  # what of the y axis somebody wants to see, who zoomed or moved it
        )

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw; then there are no axes either."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw the picture anew for the size, scales and theme of the moment."""
        raise NotImplementedError

    def on_mount(self) -> None:
        super().on_mount()
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, 8
        self.redraw()

    def redraw_mounted(self) -> None:
        """Draw again if the widget is there already; otherwise it will be drawn when it is."""
        if self.is_mounted:
            self.redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.redraw_mounted()

    @on(events.Resize)
    def _redraw_resized(self) -> None:
        self.call_after_refresh(self.redraw)

    @property
    def mode(self) -> HiResMode | None:
        """Braille dots, or whole characters where the terminal has no Unicode."""
        return HiResMode.BRAILLE if self.app.console.encoding.startswith("utf") else None

    def make_room(self) -> tuple[int, int]:
        """Columns and rows of the picture itself, for which ticks are chosen."""
        width, height = self.size.width - self.margin_left, self.size.height - self.margin_bottom
        self._x_formatter.room = max(2, width // 9)
        return max(8, width), max(4, height)

    def color(self, name: str) -> Color:
        """A colour of the theme by its name."""
        try:
            return Color.parse(self.app.theme_variables.get(name, name))
        except ColorParseError:  # themes of the terminal's own colours have no numbers for some
            return Color.parse("ansi_default")

    def _update_legend(self) -> None:
        """The border's title is the legend; filling the base class's own would lay the screen out at each drawing."""

    def _render_plot(self) -> None:
        # Otherwise the canvas asks for a repaint at each character.
        with self.query_one("#plot", Canvas).batch_refresh():
            automatic = self._auto_y_min, self._auto_y_max
            self._fit_rows()
            super()._render_plot()
            self._auto_y_min, self._auto_y_max = automatic
            if self.empty:
                for canvas in self.query(Canvas):
                    canvas.reset()

    def _fit_rows(self) -> None:
        """Set the limits of the y axis so that ticks lie in rows at equal distances."""
        ends = self._seen
        if self._auto_y_min and self._auto_y_max:
            values = [dataset.y[np.isfinite(dataset.y)] for dataset in self._datasets]
            values = [each for each in values if len(each)]
            ends = (min(each.min() for each in values), max(each.max() for each in values)) if values else None
        elif ends is None:
            ends = self._y_min, self._y_max
        rows = self._scale_rectangle.height
        if ends is None or rows < 2:
            return
        axis = self._y_formatter.axis = fit_axis(float(ends[0]), float(ends[1]), rows, log=self.logarithmic)
        self._y_min, self._y_max = axis.low, axis.high
        self._auto_y_min = self._auto_y_max = False

    def set_ylimits(self, ymin: float | None = None, ymax: float | None = None) -> None:
        super().set_ylimits(ymin, ymax)
        self._seen = (ymin, ymax) if ymin is not None and ymax is not None else None

    def _zoom(self, center_x: float, center_y: float, factor: float, zoom_x: bool, zoom_y: bool) -> None:
        self._restore_exact_limits()
        super()._zoom(center_x, center_y, factor, zoom_x, zoom_y)
        self._seen = self._y_min, self._y_max

    def _pan(self, factor_x: float, factor_y: float) -> None:
        self._restore_exact_limits()
        super()._pan(factor_x, factor_y)
        self._seen = self._y_min, self._y_max

    def _restore_exact_limits(self) -> None:
        """Undo the rounding of limits to rows, in which a small movement would be lost."""
        if self._seen is not None:
            self._y_min, self._y_max = self._seen


class Ticks(AxisFormatter):
    """Ticks at 1, 2, 5 times powers of ten, labelled in few characters. room: how many fit."""

    def __init__(self, *, whole: bool = False) -> None:
        """whole: whether they are whole numbers, as steps are."""
        self.room = 5
        self._smallest = 1.0 if whole else 0.0

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        least = max(self._smallest, (max_ - min_) / self.room)
        power = 10.0 ** math.floor(math.log10(least))
        interval = next(step * power for step in (1, 2, 5, 10) if step * power >= 0.999 * least)
        first, last = math.ceil(min_ / interval - 1e-9), math.floor(max_ / interval + 1e-9)
        # Divided where that is exact, since products such as 3 * 0.1 are not.
        return [i / round(1 / interval) if interval < 1 else i * interval for i in range(first, last + 1)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return list(map(shorten_number, ticks))


class RowTicks(AxisFormatter):
    """Ticks of a vertical axis whose ends follow from them, so that they are evenly spaced. axis: once it is known."""

    def __init__(self) -> None:
        self.axis: Axis | None = None

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        return self.axis.ticks if self.axis else []

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return self.axis.labels() if self.axis else []
