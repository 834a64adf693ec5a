"""Texts as cells of CSV files that spreadsheets open."""

from __future__ import annotations

from ftapp.common.formatting import make_one_line


def format_cell(text: str) -> str:
    """Format a text that a spreadsheet takes for one: what would be a formula begins with an apostrophe."""
    text = make_one_line(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
