"""The result of a sweep on stdout: its best trials as a table, and what can be told of them in sentences."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ftapp.common import tables
from ftapp.experiments.sweep.trials import OWN
from ftapp.recipe.metrics import get_metric

_BEST = 10  # trials in the table


def print_sweep(result: Mapping[str, Any]) -> None:
    """Print the best trials of a sweep, what can be told of them, and where the report is.

    Args:
        result: The result that `ftapp.report.sweep` made.
    """
    found = result["sweep"]
    header, rows = _lay_out(found)
    if rows:
        tables.print_wrapped(header, rows)
        print()
    for sentence in found["sentences"]:
        tables.print_text(sentence)
    if found["importances"]:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in found["importances"].items())
        tables.print_text(f"Importance over the trials: {shares}.")
    if found["changes"]:
        print(" ".join(f"--set {shlex.quote(change)}" for change in found["changes"]))
    print(result["report"])


def _lay_out(found: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Lay out the best trials as a table: its header and its rows."""
    from ftapp.report.comparison import format_setting  # here, since it imports NumPy

    metric, keys = get_metric(found["metric"]), list(found["over"])
    sign = 1 if metric.is_lower_better else -1
    done = sorted(
        (each for each in found["trials"] if each["value"] is not None), key=lambda each: sign * each["value"]
    )
    shown = [each for index, each in enumerate(done) if index < _BEST or each["arm"] == OWN]
    rows = [
        [
            each["arm"],
            metric.format_text(each["value"]),
            *(format_setting(each["values"].get(key)) or "[]" for key in keys),
        ]
        for each in shown
    ]
    return ["", f"validation {metric.label}", *keys], rows
