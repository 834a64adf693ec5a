"""A table of named facts without lines, as plans and advice show it."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text


def make_fact_table(rows: Mapping[str, str]) -> Table:
    """Return a table with a row for each name and its value."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in rows.items():
        table.add_row(Text(name), Text(value))
    return table
