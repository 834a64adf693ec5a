"""What charts and scatter plots share: axes, ticks, keys to move about, colours of the theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.color import Color, ColorParseError
from textual_hires_canvas import Canvas, HiResMode
from textual_plot import PlotWidget
from textual_plot.axis_formatter import AxisFormatter


class Plot(PlotWidget):
    """A picture with two axes. Subclasses draw it in `redraw`, and say by `empty` whether there is anything to draw."""

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

    _x_formatter: Ticks
    _y_formatter: Ticks

    def __init__(self, title: str, *, id: str | None = None) -> None:
        """title: what the border says the picture shows."""
        super().__init__(id=id, classes="pane")
        self._title = title
        self._x_formatter, self._y_formatter = Ticks(), Ticks()

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

    def changed(self) -> None:
        """Draw again if the widget is there already; otherwise it will be drawn when it is."""
        if self.is_mounted:
            self.redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.changed()

    @on(events.Resize)
    def _resized(self) -> None:
        self.call_after_refresh(self.redraw)

    @property
    def mode(self) -> HiResMode | None:
        """Braille dots, or whole characters where the terminal has no Unicode."""
        return HiResMode.BRAILLE if self.app.console.encoding.startswith("utf") else None

    def make_room(self) -> tuple[int, int]:
        """Columns and rows of the picture itself, for which ticks are chosen."""
        width, height = self.size.width - self.margin_left, self.size.height - self.margin_bottom
        self._x_formatter.room, self._y_formatter.room = max(2, width // 9), max(2, height // 2)
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
            super()._render_plot()
            if self.empty:
                for canvas in self.query(Canvas):
                    canvas.reset()


def short(value: float) -> str:
    """A number in few characters: 0.25, 1e-05, 12k, 1.5M."""
    for limit, sign in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e6 if sign == 'M' else 1e3):.4g}{sign}"
    return f"{value:.4g}"


class Ticks(AxisFormatter):
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
        return list(map(short, ticks))


class LogTicks(Ticks):
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
        return [short(float(f"{10**tick:.2g}")) for tick in ticks]
