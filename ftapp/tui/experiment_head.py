"""The line above an experiment or a sweep: its status, its name, and how far it has got."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.content import Content

from ftapp.common import formatting
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.listing import Summary
from ftapp.runs import log_lines
from ftapp.tui.widgets.headline import STATUS_COLORS


def describe_experiment(experiment: Experiment, summary: Summary, name: str, shown: Sequence[str] = ()) -> Content:
    """Describe how an experiment stands, in a line.

    Args:
        experiment: The experiment.
        summary: Its summary.
        name: What to call it.
        shown: The part of its runs that the screen shows, in words.
    """
    status = summary.status
    parts = [summary.describe_progress()]
    if status == "running" and experiment.is_stopping():
        status = "stopping"
    parts += shown
    if status == "crashed":
        lines = log_lines.read_last_lines(experiment.log_file, 1)
        parts.append(f"its process ended without a result{f': {lines[-1]}' if lines else ''}")
    if summary.seconds is not None and summary.status != "running":
        parts.append(formatting.format_duration(summary.seconds))
    if summary.created:
        parts.append(f"started {formatting.format_moment(summary.created, time.time())}")
    return Content.assemble(
        ("● ", f"${STATUS_COLORS.get(summary.status, 'foreground')}"),
        (status, "b"),
        (f"  {name}", "b"),
        f" {summary.profile}" if summary.profile else "",
        ("   " + "  ·  ".join(parts), "$foreground-muted"),
    )
