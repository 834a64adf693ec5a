"""Tables of numbers as maps of colours, as SVG text: of any numbers, and of the confusion of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from ftapp.report.svg import (
    CHARACTER,
    WIDTH,
    Values,
    draw_empty,
    draw_text,
    format_tick,
    measure_label,
    shorten_label,
    wrap_svg,
)


def draw_heat(values: Values, rows: Sequence[str], x: Values, x_label: str, quantity: str) -> str:
    """Draw a map of numbers from 0 up, the strongest colour for the largest.

    Args:
        values: The numbers, (rows, columns).
        rows: The names of the rows, paths of which the first part stands once beside all rows that share it.
        x: The places of the columns.
        x_label: What the places are.
        quantity: What a number is, for its title.
    """
    if not values.size:
        return draw_empty()
    most = int(WIDTH // 4)
    if values.shape[1] > most:
        pieces = np.array_split(np.arange(values.shape[1]), most)
        values = np.stack([values[:, piece].mean(axis=1) for piece in pieces], axis=1)
        x = np.array([x[piece].mean() for piece in pieces])
    row = max(5.0, min(18.0, 300 / len(rows)))
    groups = [name.partition("/")[0] for name in rows]
    left, largest = measure_label(groups), float(np.nanmax(values)) or 1.0
    width = (WIDTH - left - 4) / values.shape[1]
    parts = []
    free = 0.0  # from here down there is room for a label
    for index, name in enumerate(rows):
        y = index * row + row / 2 + 4
        if (not index or groups[index] != groups[index - 1]) and y >= free:
            parts.append(draw_text(left - 6, max(y, 11.0), shorten_label(groups[index], left - 6), "end", name))
            free = y + 12
        for column, value in enumerate(values[index]):
            if not math.isfinite(value):
                continue
            title = f"<title>{escape(name)}, {escape(x_label)} {x[column]:.4g}: {escape(quantity)} {value:.3g}</title>"
            place = f'x="{left + column * width:.2f}" y="{index * row:.1f}"'
            area = (
                f'width="{width + 0.3:.2f}" height="{row - 1:.1f}" fill-opacity="{0.04 + 0.96 * value / largest:.3f}"'
            )
            parts.append(f'<rect class="heat" {place} {area}>{title}</rect>')
    bottom = len(rows) * row + 14
    parts.append(draw_text(left, bottom, format_tick(float(x[0])), "start"))
    parts.append(draw_text(WIDTH - 4, bottom, format_tick(float(x[-1])), "end"))
    parts.append(draw_text((left + WIDTH) / 2, bottom, x_label, "middle"))
    return wrap_svg(parts, bottom + 6, f"{quantity} over {x_label}")


def draw_matrix(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """Draw a confusion matrix, (true, predicted), with the colours of each row by its shares."""
    size = len(names)
    if not size:
        return draw_empty()
    left = measure_label(names)
    cell = min(84.0, 230 / size, (WIDTH - left - 4) / size)
    totals = np.maximum(1, counts.sum(axis=1))
    parts = []
    # Where columns are narrower than names, only the rows are named.
    narrow = max(len(name) for name in names) * CHARACTER > cell
    top = 18 if narrow else 34
    parts.append(draw_text(left, 11, "predicted, in the order of the rows" if narrow else "predicted", "start"))
    for true, name in enumerate(names):
        y = top + true * cell
        parts.append(draw_text(left - 6, y + cell / 2 + 4, shorten_label(name, left - 6), "end", name))
        if not narrow:
            parts.append(draw_text(left + (true + 0.5) * cell, 28, name, "middle"))
        for predicted in range(size):
            count, share = int(counts[true, predicted]), counts[true, predicted] / totals[true]
            x = left + predicted * cell
            title = f"<title>{escape(name)} taken for {escape(names[predicted])}: {count}, {share:.0%}</title>"
            kind = "heat" if true == predicted else "wrong"
            box = f'<rect class="{kind}" fill-opacity="{0.04 + 0.86 * share:.3f}" x="{x:.1f}" y="{y:.1f}" '
            parts.append(f'{box}width="{cell - 1:.1f}" height="{cell - 1:.1f}">{title}</rect>')
            if cell >= 18 and count:
                strong = " on-strong" if share > 0.55 else ""
                parts.append(
                    f'<text class="count{strong}" text-anchor="middle" x="{x + cell / 2:.1f}" '
                    f'y="{y + cell / 2 + 4:.1f}">{count}</text>'
                )
    return wrap_svg(parts, top + size * cell + 4, "confusion matrix, true classes in rows")
