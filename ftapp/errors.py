"""The errors that users see: each states the rule, what arrived, and the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe.

    file: where it stands ("" for the command line); key: dotted path into the recipe ("" for the whole file);
    message: the rule, what arrived and the nearest valid choice, in one sentence or two.
    """

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.file, self.key) if part)
        return f"{place}: {self.message}" if place else self.message


class RecipeError(Exception):
    """A recipe, or an argument of a command, that cannot be run as it stands. Exit code 2."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class RunError(Exception):
    """A run that failed for a reason that its user can act on. Exit code 1, shown without a traceback."""


class HubError(RunError):
    """A preset or data set that could not be had from its hub or server; a profile may do without it."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """A clause that names the closest of `choices` to `word`, or all of them when none is close and they are few."""
    choices = list(dict.fromkeys(choices))
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    if not choices:
        return "there is nothing to choose from"
    if len(choices) <= 24:
        return "choose from " + ", ".join(f"'{choice}'" for choice in choices)
    return f"there are {len(choices)} choices, such as " + ", ".join(f"'{choice}'" for choice in choices[:6])
