"""The console: what it writes to a file."""

from __future__ import annotations

import io

from rich.text import Text

from ftapp.cli.fact_table import make_fact_table
from ftapp.common.console import PlainConsole


def test_lines_of_a_file_end_without_spaces() -> None:
    file = io.StringIO()
    console = PlainConsole(file)
    console.print(make_fact_table({"name": "short", "other name": "a much longer value", "last": "two\nlines"}))
    console.print(Text("no end "), end="")
    expected = [
        "name        short",
        "other name  a much longer value",
        "last        two",
        "            lines",
        "no end ",
    ]
    assert file.getvalue().split("\n") == expected
