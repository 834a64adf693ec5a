"""Curves as charts draw them: thinned to what a screen can show without losing extremes, and smoothed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_WINDOWS = 40  # of smoothing along a curve


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        label: The name in the legend.
        x: (points,), ascending.
        y: (points,), finite.
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
        """
        xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
        kept = np.isfinite(ys)
        if not kept.all():
            xs, ys = xs[kept], ys[kept]
        return cls(label, xs, ys, color, noisy, dots, mark)

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
    means: Floats = np.cumsum(y)
    before = means[:-width].copy()
    means[width:] -= before
    means[width:] /= width
    means[:width] /= np.arange(1, len(means[:width]) + 1)
    return means
