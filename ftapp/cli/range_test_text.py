"""The result of a learning rate range test in a terminal: sentences, a table, and the curve in Braille dots."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ftapp.analysis.lr_sentences import describe_test, describe_weights
from ftapp.analysis.lr_suggestions import choose_window
from ftapp.common.dot_plot import DotPlot
from ftapp.common.ticks import fit_axis

_OWN, _TAKE, _SMOOTH, _RAW = "yellow", "bold green", "cyan", "dim"
_WIDEST, _ROWS, _LABEL = 100, 12, 8  # cells of a plot, and of the labels beside it


def render_result(result: Mapping[str, Any], width: int | None) -> Group:
    """Return the result in words, with its curve and a table of suggestions.

    Args:
        result: What `ftapp.cli.range_test.run_range_test` returns, with `recipe` and `profile`.
        width: Columns of text for the curve; None for no curve.
    """
    parts: list[Any] = [Text("\n".join(describe_test(result)))]
    if width is not None and len(result["curve"]["rates"]) > 1:
        parts += [Text(), *_plot(result, min(width, _WIDEST))]
    if result["suggestions"]:
        table = Table(box=box.SIMPLE_HEAD)
        for name in ("", "rule", "learning rate", "source"):
            table.add_column(name)
        for row in result["suggestions"]:
            table.add_row(row["rule"][0].upper(), row["rule"], f"{row['rate']:.2g}", Text(row["source"]))
        table.add_row(Text("R", _OWN), "recipe", f"{result['own_rate']:g}", "the phase's base rate as it is")
        parts.append(table)
    else:
        parts.append(Text())
    parts += [Text(sentence) for sentence in result["sentences"]]
    if result["override"]:
        # In one piece, since it is copied into the next command.
        parts.append(Text(f"  --set {shlex.quote(result['override'])}", _TAKE, no_wrap=True, overflow="ignore"))
    parts.append(Text(describe_weights(result), "dim"))
    return Group(*parts)


def _plot(result: Mapping[str, Any], width: int) -> list[Text]:
    """Plot the curve over the logarithm of the rate, with letters below for suggestions and the recipe's rate."""
    curve = result["curve"]
    x, centers = [[math.log10(rate) for rate in curve[name]] for name in ("rates", "centers")]
    y_axis = fit_axis(*choose_window(curve["losses"], curve["smoothed"]), _ROWS)
    half_a_dot = (y_axis.high - y_axis.low) / (8 * _ROWS)
    y_range = y_axis.low + half_a_dot, y_axis.high - half_a_dot  # the centres of the lowest and of the highest dot
    canvas = DotPlot(max(20, width - _LABEL - 2), _ROWS, (x[0], x[-1]), y_range)
    canvas.draw_points(x, curve["losses"], _RAW)
    canvas.draw_line(centers, curve["smoothed"], _SMOOTH)
    marks = [(row["rule"][0].upper(), row["rate"], _SMOOTH) for row in result["suggestions"]]
    marks.append(("R", result["own_rate"], _OWN))
    placed = [(sign, canvas.column(math.log10(rate)), style) for sign, rate, style in marks]
    placed = [mark for mark in placed if 0 <= mark[1] < canvas.columns]
    rules = {column: style for sign, column, style in placed if sign == "R"}
    if result["rate"] is not None:
        rules[canvas.column(math.log10(result["rate"]))] = _TAKE
    named = zip(y_axis.ticks, y_axis.labels(), strict=True)
    labels = {_ROWS - 1 - y_axis.find_row(tick): label for tick, label in named}
    rows = [
        Text.assemble((labels.get(row, "").rjust(_LABEL), "dim"), (" ┤" if row in labels else " │"), line)
        for row, line in enumerate(canvas.text(rules))
    ]
    decades = range(math.ceil(x[0] - 1e-9), math.floor(x[-1] + 1e-9) + 1)
    ticks = {canvas.column(float(decade)): f"{10.0**decade:g}".replace("e-0", "e-") for decade in decades}
    axis = "".join("┴" if column in ticks else "─" for column in range(canvas.columns))
    rows.append(Text(f"{'':{_LABEL}} └{axis}"))
    names = [" "] * (canvas.columns + _LABEL + 2)
    for column, name in ticks.items():
        first = min(len(names) - len(name), max(0, column + _LABEL + 2 - len(name) // 2))
        if all(sign == " " for sign in names[max(0, first - 1) : first + len(name) + 1]):
            names[first : first + len(name)] = name
    return [*_place_letters(placed, canvas.columns), *rows, Text("".join(names), "dim")]


def _place_letters(marks: list[tuple[str, int, str]], columns: int) -> list[Text]:
    """Letters at their columns, in as many rows as it takes for each to have a place of its own."""
    rows: list[dict[int, tuple[str, str]]] = []
    for sign, column, style in marks:
        row = next((row for row in rows if column not in row), None)
        if row is None:
            rows.append(row := {})
        row[column] = sign, style
    return [
        Text.assemble(" " * (_LABEL + 2), *(row.get(column, (" ", "")) for column in range(columns)))
        for row in reversed(rows)
    ]
