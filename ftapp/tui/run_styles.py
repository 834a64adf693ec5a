"""The colours and signs by which the runs of a comparison are told apart, each by its place among them."""

from __future__ import annotations

from ftapp.tui.terminal.themes import SERIES

_COLORS = ("primary", "accent", "success", "error", *SERIES, "secondary")
_MARKS = "•×+∗◦□△◇"  # so that curves are told apart without colours too


def run_color(index: int) -> str:
    """Return the colour of a run, as charts take it."""
    return _COLORS[index % len(_COLORS)]


def run_mark(index: int) -> str:
    """Return the sign on the curves of a run."""
    return _MARKS[index % len(_MARKS)]


def run_style(index: int) -> str:
    """Return the colour of a run, as styled text takes it."""
    return f"${run_color(index)}"
