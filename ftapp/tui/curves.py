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

    x: ascending, (points,); y: (points,), finite; color: a name of the theme's palette, or a colour; noisy: whether
    smoothing makes it easier to read, as with a loss of single batches; dots: whether the points stand apart.
    """

    label: str
    x: Floats
    y: Floats
    color: str
    noisy: bool = False
    dots: bool = False

    @classmethod
    def of(cls, label: str, x: object, y: object, color: str, *, noisy: bool = False, dots: bool = False) -> Curve:
        """A curve of any two sequences of numbers, without the points whose y is not finite.

        Arrays of 64-bit floats (NumPy's, or the standard library's, as in `ftapp.runs.history.Steps`) are not copied.
        """
        xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
        kept = np.isfinite(ys)
        if not kept.all():
            xs, ys = xs[kept], ys[kept]
        return cls(label, xs, ys, color, noisy, dots)

    def nearest(self, x: float) -> tuple[float, float] | None:
        """The point whose x is nearest; None for a curve without points."""
        if not len(self.x):
            return None
        right = int(np.searchsorted(self.x, x).clip(0, len(self.x) - 1))
        left = max(0, right - 1)
        index = left if abs(self.x[left] - x) <= abs(self.x[right] - x) else right
        return float(self.x[index]), float(self.y[index])


def thin(x: Floats, y: Floats, low: float, high: float, buckets: int) -> tuple[Floats, Floats]:
    """At most two points for each of `buckets` equal parts of [low, high]: where y is lowest and where it is highest.

    The last points outside on both sides stay, so that a line leads out of the picture.
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


def window(points: int) -> int:
    """How many neighbouring points smoothing takes the mean of, for a curve of so many."""
    return max(1, points // _WINDOWS)


def smoothed(y: Floats) -> Floats:
    """The mean of each point and those right before it, `window` in all, fewer at the start. (points,), as `y` is."""
    width = window(len(y))
    means: Floats = np.cumsum(y)
    before = means[:-width].copy()
    means[width:] -= before
    means[width:] /= width
    means[:width] /= np.arange(1, len(means[:width]) + 1)
    return means
