"""The plot of a learning rate range test: a page, or a picture by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ftapp.analysis.lr_sentences import describe_test, describe_weights, name_phase
from ftapp.analysis.lr_suggestions import choose_window
from ftapp.common.durable import replace_file
from ftapp.report import page, svg
from ftapp.report.svg import Line


def write(result: Mapping[str, Any], path: Path) -> None:
    """Write the result of a range test to a file: a picture if its name ends in .svg, else a page.

    Raises OSError.
    """
    plot, legend = _draw_plot(result)
    if path.suffix == ".svg":
        replace_file(path, page.embed_picture(plot, legend).encode())
        return
    title = f"Learning rate of {result['recipe']}, {name_phase(result)}"
    first, *others = describe_test(result)
    parts = [
        f'<header><h1>{escape(title)}</h1><p class="summary">{escape(first)}</p>'
        f'<div class="facts">{"".join(f"<span>{escape(line)}</span>" for line in others)}</div></header>',
        page.build_list("verdicts", result["sentences"]),
    ]
    if result["override"]:
        parts.append(page.build_code(f"--set '{result['override']}'", wrap=True))
    parts.append(page.build_figure("Loss over the learning rate", plot, "Each loss is of another batch.", legend))
    if result["suggestions"]:
        rows = [[row["rule"], f"{row['rate']:.2g}", row["source"]] for row in result["suggestions"]]
        rows.append(["recipe", f"{result['own_rate']:g}", "the phase's base rate as it is"])
        parts.append(page.stack(["rule", "learning rate", "which is"], rows))
    parts.append(f'<p class="soft">{escape(describe_weights(result))}</p>')
    replace_file(path, page.build_page(title, parts).encode())


def _draw_plot(result: Mapping[str, Any]) -> tuple[str, Sequence[tuple[str, int]]]:
    """The plot, and what its tones are."""
    curve = {name: np.array(values, np.float64) for name, values in result["curve"].items()}
    if len(curve["rates"]) < 2:
        return svg.draw_lines([], ""), []
    _, high = choose_window(curve["losses"].tolist(), curve["smoothed"].tolist())
    shown = {name: np.where(curve[name] <= high, curve[name], np.nan) for name in ("losses", "smoothed")}
    series = [
        Line("each batch", curve["rates"], shown["losses"], 0, "faint"),
        Line("smoothed", curve["centers"], shown["smoothed"], 0),
    ]
    for tone, row in enumerate(result["suggestions"], 1):
        place = np.interp(np.log(row["rate"]), np.log(curve["centers"]), curve["smoothed"])
        series.append(Line(row["rule"], np.array([row["rate"]]), np.array([place]), tone, "marks"))
    low, last = curve["rates"][[0, -1]]
    marks = [("recipe", result["own_rate"]), ("suggestion", result["rate"])]
    borders = sorted((rate, f"{name} {rate:g}") for name, rate in marks if rate is not None and low <= rate <= last)
    legend = [("loss, and smoothed", 0), *((line.name, line.tone) for line in series[2:])]
    return svg.draw_lines(series, "learning rate", borders=borders, log_x=True), legend
