"""Plots as SVG text for a page. Their colours are the page's CSS variables, so that one plot is light and dark.

A plotting library would bake in colours, fonts and sizes, and weigh more than all of ftapp. Text is in the units of the
drawing, about its size on the page: a plot is made for a column some 400 pixels wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ftapp.common.formatting import format_quantity

Values = NDArray[np.float64]

TONES = 8
"""Colours that tell series apart: the page's variables --tone-0 to --tone-7."""

WIDTH = 420
"""The width of a plot, in its units."""
CHARACTER = 7.0
"""The mean width of a letter at the plots' text size."""

_HEIGHT = 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 18, 38
_MOST_POINTS = 400
_ROW = 26
_FEWEST_TICKS = 4  # of a logarithmic axis, before a finer division is tried
_LEAST = 1e-100  # of what a logarithmic axis tells apart


@dataclass(frozen=True)
class Line:
    """A series of a line plot. x, y: float64 (points,); tone: its colour.

    style: 'line', 'faint' for raw values behind a smoothed line, or 'marks' for few points joined by a line.
    """

    name: str
    x: Values
    y: Values
    tone: int = 0
    style: Literal["line", "faint", "marks"] = "line"


def draw_lines(
    series: Sequence[Line],
    x_label: str,
    *,
    borders: Sequence[tuple[float, str]] = (),
    log: bool = False,
    log_x: bool = False,
) -> str:
    """Curves over one axis. borders: places on the x axis at which something begins, in order, each with its name.

    log, log_x: whether an axis has its values' logarithms; x is above 0 then.
    """
    series = [Line(each.name, *_keep_finite(each.x, each.y), each.tone, each.style) for each in series]
    series = [each for each in series if len(each.x)]
    if not series:
        return draw_empty()
    frame = _Frame.around([each.x for each in series], [each.y for each in series], log=log, log_x=log_x)
    parts = [*frame.axes(x_label)]
    for index, (place, name) in enumerate(borders):
        x, free = frame.x(place), frame.x(borders[index + 1][0]) if index + 1 < len(borders) else WIDTH
        parts.append(f'<line class="border" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
        fits = x + len(name) * CHARACTER < free
        parts.append(draw_text(x + 3 if fits else x - 3, _TOP - 5, name, "start" if fits else "end"))
    for each in series:
        points = [(frame.x(x), frame.y(y)) for x, y in zip(*_thin(each.x, each.y), strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        kind = "faint" if each.style == "faint" else "line"
        parts.append(f'<polyline class="{kind} tone-{each.tone % TONES}" points="{path}"/>')
        if each.style == "marks" or len(points) == 1:
            for (x, y), value_x, value_y in zip(points, *_thin(each.x, each.y), strict=True):
                title = f"<title>{escape(each.name)}: {value_y:.4g} at {value_x:.6g}</title>"
                mark = f'<circle class="mark tone-{each.tone % TONES}" cx="{x:.1f}" cy="{y:.1f}" r="2.8">'
                parts.append(f"{mark}{title}</circle>")
    return wrap_svg(parts, _HEIGHT, f"{', '.join(each.name for each in series)} over {x_label}")


def draw_scatter(x: Values, y: Values, x_label: str, y_label: str) -> str:
    """Points with the line y = x on axes of the same range. Later points are stronger."""
    x, y = _keep_finite(x, y)
    if not len(x):
        return draw_empty()
    frame = _Frame.around([x, y], [x, y])
    low, high = frame.x_range
    parts = [
        *frame.axes(x_label, y_label),
        f'<line class="diagonal" x1="{frame.x(low):.1f}" y1="{frame.y(low):.1f}" x2="{frame.x(high):.1f}" '
        f'y2="{frame.y(high):.1f}"/>',
        draw_text(frame.x(high) - 20, frame.y(high) + 8, "y = x", "end"),
    ]
    # As many as are seen: chosen evenly, since a mean of neighbours would draw the cloud together.
    for place in np.unique(np.linspace(0, len(x) - 1, min(len(x), 600)).astype(int)):
        strength = 0.25 + 0.6 * place / max(1, len(x) - 1)
        title = f"<title>point {place + 1}: {x[place]:.4g}, {y[place]:.4g}</title>"
        mark = f'<circle class="mark tone-0" fill-opacity="{strength:.2f}" '
        parts.append(f'{mark}cx="{frame.x(x[place]):.1f}" cy="{frame.y(y[place]):.1f}" r="2.8">{title}</circle>')
    return wrap_svg(parts, _HEIGHT, f"{y_label} against {x_label} with the line y = x")


def draw_reliability(bins: Values) -> str:
    """Accuracy against confidence, a point for each range of confidence, larger where there are more examples.

    bins: (ranges, 3), as `ftapp.analysis.metrics.calibration` has them.
    """
    filled = bins[bins[:, 0] > 0]
    if not len(filled):
        return draw_empty()
    frame = _Frame((0.0, 1.0), (0.0, 1.0))
    ends = f'x1="{frame.x(0):.1f}" y1="{frame.y(0):.1f}" x2="{frame.x(1):.1f}" y2="{frame.y(1):.1f}"'
    parts = [*frame.axes("confidence", "share that is right"), f'<line class="diagonal" {ends}/>']
    for count, confidence, right in filled:
        x, y = confidence / count, right / count
        title = f"<title>{format_quantity(count, 'example')}: confidence {x:.2f}, right {y:.2f}</title>"
        size = 3 + 9 * math.sqrt(count / filled[:, 0].max())
        mark = f'<circle class="mark tone-0" fill-opacity="0.75" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" '
        parts.append(f'{mark}r="{size:.1f}">{title}</circle>')
    return wrap_svg(parts, _HEIGHT, "share that is right against confidence")


def draw_bars(
    rows: Sequence[tuple[str, Sequence[float]]], parts_of: Sequence[str], describe: Callable[[float], str]
) -> str:
    """Horizontal bars, each a row's parts on end. parts_of: what the parts are; describe: says an amount in words."""
    largest = max((sum(values) for _, values in rows), default=0)
    if not largest:
        return draw_empty()
    left = measure_label([name for name, _ in rows])
    right = max(len(describe(sum(values))) for _, values in rows) * CHARACTER + 8
    scale = (WIDTH - left - right) / largest
    drawn = []
    for index, (name, values) in enumerate(rows):
        y, x = index * _ROW + 4, left
        drawn.append(draw_text(left - 6, y + 13, shorten_label(name, left - 6), "end", name))
        for tone, (part, value) in enumerate(zip(parts_of, values, strict=True)):
            if value > 0:
                title = f"<title>{escape(name)}, {escape(part)}: {escape(describe(value))}</title>"
                width = max(0.8, value * scale)
                box = f'<rect class="bar tone-{tone % TONES}" x="{x:.1f}" y="{y}" width="{width:.1f}" '
                drawn.append(f'{box}height="{_ROW - 8}">{title}</rect>')
                x += value * scale
        drawn.append(draw_text(x + 5, y + 13, describe(sum(values)), "start"))
    return wrap_svg(drawn, len(rows) * _ROW + 6, "bars: " + ", ".join(name for name, _ in rows))


def draw_intervals(rows: Sequence[tuple[str, float, float, float]], x_label: str) -> str:
    """Estimates with their intervals beside the line at zero: (name, estimate, low, high)."""
    if not rows:
        return draw_empty()
    left, height = measure_label([row[0] for row in rows]), len(rows) * _ROW + 40
    low, high = min(0.0, *(row[2] for row in rows)), max(0.0, *(row[3] for row in rows))
    margin = 0.06 * (high - low) or 1.0
    low, high = low - margin, high + margin
    scale = (WIDTH - left - _RIGHT) / (high - low)

    def place(value: float) -> float:
        return left + (value - low) * scale

    bottom = len(rows) * _ROW + 4
    parts = [f'<line class="diagonal" x1="{place(0):.1f}" x2="{place(0):.1f}" y1="0" y2="{bottom}"/>']
    parts += [
        draw_text(place(value), bottom + 14, format_tick(value), "middle") for value in _choose_ticks(low, high, 4)
    ]
    parts.append(draw_text((left + WIDTH) / 2, height - 4, x_label, "middle"))
    for index, (name, estimate, lowest, highest) in enumerate(rows):
        y = index * _ROW + 15
        title = f"<title>{escape(name)}: {estimate:.4g}, {lowest:.4g} to {highest:.4g}</title>"
        parts += [
            draw_text(left - 6, y + 4, shorten_label(name, left - 6), "end", name),
            f'<line class="line tone-0" x1="{place(lowest):.1f}" x2="{place(highest):.1f}" y1="{y}" y2="{y}"/>',
            f'<circle class="mark tone-0" cx="{place(estimate):.1f}" cy="{y}" r="4">{title}</circle>',
        ]
    return wrap_svg(parts, height, x_label)


@dataclass(frozen=True)
class _Frame:
    """Where values lie on a plot with two axes. Ranges are of values, or of their logarithms: `log` for y, `log_x`."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    log: bool = False
    log_x: bool = False

    @classmethod
    def around(cls, x: Sequence[Values], y: Sequence[Values], *, log: bool = False, log_x: bool = False) -> _Frame:
        ends_x, ends_y = (np.array([[each.min(), each.max()] for each in values]) for values in (x, y))
        log = log and bool((ends_y > 0).all())
        if log:
            ends_y = np.log10(ends_y.clip(_LEAST))
        if log_x:
            ends_x = np.log10(ends_x)
        return cls(_find_range(ends_x, 0.0), _find_range(ends_y, 0.04), log, log_x)

    def x(self, value: float) -> float:
        low, high = self.x_range
        value = math.log10(value) if self.log_x else value
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        place = math.log10(max(value, _LEAST)) if self.log else value
        return _HEIGHT - _BOTTOM - (place - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    def axes(self, x_label: str, y_label: str = "") -> Iterator[str]:
        low, high = self.y_range
        values = _choose_decades(low, high) if self.log else list(_choose_ticks(low, high, 5))
        for value in values:
            y = self.y(value)
            yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield draw_text(_LEFT - 6, y + 4, format_tick(value), "end")
        for value in _choose_decades(*self.x_range) if self.log_x else _choose_ticks(*self.x_range, 5):
            yield draw_text(self.x(value), _HEIGHT - _BOTTOM + 17, format_tick(value), "middle")
        yield draw_text((_LEFT + WIDTH - _RIGHT) / 2, _HEIGHT - 4, x_label, "middle")
        middle = (_TOP + _HEIGHT - _BOTTOM) / 2
        if y_label:
            turned = f'transform="translate(11 {middle:.0f}) rotate(-90)"'
            yield f'<text text-anchor="middle" {turned}>{escape(y_label)}</text>'


def _find_range(values: Values, margin: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        spread = abs(low) / 2 or 1.0
        return low - spread, high + spread
    return low - margin * (high - low), high + margin * (high - low)


def _choose_ticks(low: float, high: float, count: int) -> Iterator[float]:
    """Round numbers in a range, about so many: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield index * step


def _choose_decades(low: float, high: float) -> list[float]:
    """Values between two logarithms, at equal distances: powers of ten, or of a smaller number where these are few."""
    found: list[float] = []
    for ratio in (1000, 100, 10, 4, 2, 1.2, 1.1, 1.05, 1.02, 1.01, 1.005, 1.002, 1.001):
        step = math.log10(ratio)
        powers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        found = [ratio**power for power in powers]
        if len(found) >= _FEWEST_TICKS:
            break
    return found


def _keep_finite(x: Values, y: Values) -> tuple[Values, Values]:
    known = np.isfinite(x) & np.isfinite(y)
    return (x, y) if known.all() else (x[known], y[known])


def _thin(x: Values, y: Values) -> tuple[Values, Values]:
    """A curve of about `_MOST_POINTS` points: its ends, and the lowest and the highest value of each stretch."""
    if len(x) <= _MOST_POINTS:
        return x, y
    kept, start = {0, len(x) - 1}, 0
    for stretch in np.array_split(y, _MOST_POINTS // 2):
        kept |= {start + int(stretch.argmin()), start + int(stretch.argmax())}
        start += len(stretch)
    places = sorted(kept)
    return x[places], y[places]


def measure_label(names: Sequence[str]) -> float:
    """Measure the room that names take beside a plot, at most two fifths of its width."""
    return min(0.42 * WIDTH, max(len(name) for name in names) * CHARACTER + 12)


def shorten_label(name: str, width: float) -> str:
    """A name that is no wider: its end, which tells layers apart, where it has to be cut."""
    most = int(width / CHARACTER)
    return name if len(name) <= most else "…" + name[len(name) - most + 1 :]


def format_tick(value: float) -> str:
    """Write a number beside an axis, a large one by its thousands or millions."""
    if 10_000 <= abs(value) < 1e9:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value / 1e6:g}M"
    if abs(value) >= 1e9:
        return f"{value:.3g}"
    if value and abs(value) < 1e-3:
        return f"{value:.2g}".replace("e-0", "e-")
    return f"{round(value, 10):.4g}"


def draw_text(x: float, y: float, text: str, anchor: str, whole: str | None = None) -> str:
    """A text at a place. anchor: start, middle or end; whole: what it is short for, shown as its title."""
    title = f"<title>{escape(whole)}</title>" if whole is not None and whole != text else ""
    return f'<text text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{title}{escape(text)}</text>'


def wrap_svg(parts: Sequence[str], height: float, label: str) -> str:
    """A plot of its parts. label: what it shows, for readers that do not see it."""
    box = f'viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label, quote=True)}"'
    return f'<svg class="plot" {box}>{"".join(parts)}</svg>'


def draw_empty() -> str:
    """What stands in the place of a plot without values."""
    return '<p class="nothing">Nothing to draw.</p>'
