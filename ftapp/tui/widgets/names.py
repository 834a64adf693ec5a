"""Names of classes in a column, of any script: what counts is their width in cells of the terminal."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from ftapp.common.formatting import make_printable

_SIGNS = {ord("\n"): "\u240a", ord("\t"): "\u2409"}


def make_visible(name: str) -> str:
    """Replace the characters of a name that steer a terminal by signs, and those that end a line."""
    return make_printable(name).translate(_SIGNS)


def measure_longest(names: list[str]) -> int:
    """The cells of the longest of some names, which are visible; 0 without names."""
    return max(map(cell_len, names), default=0)


def cut(name: str, width: int) -> str:
    """Cut a visible name to at most so many cells, with an ellipsis."""
    if cell_len(name) <= width:
        return name
    return f"{set_cell_size(name, width - 1).rstrip()}…" if width > 0 else ""


def fit(name: str, width: int, *, right: bool = False) -> str:
    """Cut or fill a visible name to a width.

    Args:
        name: The name, as `make_visible` returns it.
        width: In cells.
        right: Whether the name stands at the right.
    """
    name = cut(name, width)
    space = " " * (width - cell_len(name))
    return f"{space}{name}" if right else f"{name}{space}"
