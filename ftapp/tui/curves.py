"""Curves as charts draw them: thinned to what a screen can show without losing extremes, and smoothed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LONG = 2**20
"""Points up to which a curve has all of them."""

_WINDOWS = 40  # of smoothing along a curve
_STRETCHES = 2**16  # into which a longer curve is divided


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        label: The name in the legend.
        x: (points,), ascending.
        y: (points,), finite.
        count: How many points there are in all. Of more than `LONG`, `x` and `y` are the lowest and the highest ones.
        means: x and y of the smoothed curve at some points, where `x` and `y` are not all points; else None.
        color: A name of the theme's palette, or a colour.
        noisy: Whether smoothing makes it easier to read, as for a loss of single batches.
        dots: Whether each point is marked.
        mark: The sign at its points, by which it is told from curves of other colours; "" for none of its own.
    """

    label: str
    x: Floats
    y: Floats
    color: str
    noisy: bool = False
    dots: bool = False
    mark: str = ""
    count: int = 0
    means: tuple[Floats, Floats] | None = None

    @classmethod
    def of(
        cls,
        label: str,
        x: object,
        y: object,
        color: str,
        *,
        noisy: bool = False,
        dots: bool = False,
        mark: str = "",
    ) -> Curve:
        """Make a curve of two sequences of numbers. Points whose y is not finite are dropped.

        Arrays of 64-bit floats (NumPy's, or the standard library's, as in `ftapp.runs.history.Steps`) are not copied.
        A curve of more than `LONG` points keeps its extremes, its last point and its exact means.
        """
        xs, ys = np.asarray(x), np.asarray(y, np.float64)
        kept = np.isfinite(ys)
        if not kept.all():
            xs, ys = xs[kept], ys[kept]
        count, means = len(ys), None
        if count > LONG:
            if noisy:
                ends = np.append(np.arange(0, count - 1, -(-count // _STRETCHES)), count - 1)
                means = xs[ends].astype(np.float64), smooth(ys)[ends]
            xs, ys = thin(xs, ys, xs[0], xs[-1], _STRETCHES)
        return cls(label, np.asarray(xs, np.float64), ys, color, noisy, dots, mark, count, means)

    def nearest(self, x: float) -> tuple[float, float] | None:
        """Find the point whose x is nearest; None for a curve without points."""
        if not len(self.x):
            return None
        right = int(np.searchsorted(self.x, x).clip(0, len(self.x) - 1))
        left = max(0, right - 1)
        index = left if abs(self.x[left] - x) <= abs(self.x[right] - x) else right
        return float(self.x[index]), float(self.y[index])


def thin(x: Floats, y: Floats, low: float, high: float, buckets: int) -> tuple[Floats, Floats]:
    """Thin out a curve without losing extremes.

    Args:
        x: (points,), ascending.
        y: (points,).
        low: The left end of the visible part.
        high: The right end of the visible part.
        buckets: The number of equal parts of [low, high].

    Returns:
        The points with the lowest and the highest y of each part, and the nearest point outside on each side.
    """
    first, last = int(np.searchsorted(x, low, "left")), int(np.searchsorted(x, high, "right"))
    first, last = max(0, first - 1), min(len(x), last + 1)
    x, y = x[first:last], y[first:last]
    size = -(-len(x) // max(1, buckets))
    if size <= 2:
        return x, y
    whole = len(x) // size * size
    rows = y[:whole].reshape(-1, size)
    starts = np.arange(0, whole, size)
    chosen = [starts + rows.argmin(1), starts + rows.argmax(1), [0, len(x) - 1]]
    if whole < len(x):
        chosen.append([whole + int(y[whole:].argmin()), whole + int(y[whole:].argmax())])
    kept = np.unique(np.concatenate(chosen).astype(np.int64))
    return x[kept], y[kept]


def window_size(points: int) -> int:
    """Return how many neighbouring points smoothing averages in a curve of so many points."""
    return max(1, points // _WINDOWS)


def smooth(y: Floats) -> Floats:
    """Smooth a curve by a moving average.

    Args:
        y: (points,).

    Returns:
        (points,), the mean of each point and those right before it: `window_size` points, fewer at the start.
    """
    width = window_size(len(y))
    sums, means = np.cumsum(y), np.empty(len(y))
    np.subtract(sums[width:], sums[:-width], out=means[width:])
    means[width:] /= width
    np.divide(sums[:width], np.arange(1, len(sums[:width]) + 1), out=means[:width])
    return means
