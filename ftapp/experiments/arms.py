"""The arms of an experiment: their order, their names in folders, and the control."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftapp.recipe import Recipe

_CONTROL = "again"


def schedule(arms: Sequence[str], repeats: int) -> Iterator[tuple[int, str]]:
    """Order the runs of an experiment: every other repeat turns the arms around.

    A machine that grows slower or faster in the course then treats all arms alike.

    Args:
        arms: The names of the arms.
        repeats: How many repeats there are.

    Yields:
        The number of the repeat, from 1, and the arm of each run.
    """
    for repeat in range(1, repeats + 1):
        for arm in arms if repeat % 2 else reversed(arms):
            yield repeat, arm


def add_control(arms: dict[str, Recipe], control: bool = True) -> dict[str, Recipe]:
    """Add the first arm a second time: an A/A control, which shows the difference of runs that do not differ.

    Args:
        arms: The recipes by the names of their arms.
        control: Whether the control is added at all.

    Returns:
        The arms, with the control behind the first.
    """
    if not control:
        return arms
    first = next(iter(arms))
    return {first: arms[first], name_control(first): arms[first]} | arms


def name_control(arm: str) -> str:
    """Make the name of an arm's control."""
    return f"{arm} {_CONTROL}"


def make_slug(arm: str) -> str:
    """Write an arm's name as a part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", arm).strip("-").lower()
