"""The errors that users see: each states what is wrong with the value that came, the rule, the nearest valid choice."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe.

    Attributes:
        file: The file that has the problem; "" for the command line.
        key: The dotted path into the recipe; "" for the whole file.
        message: What is wrong, the rule and the nearest valid choice, in one sentence or two.
    """

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(shorten(part) for part in (self.file, self.key, self.message) if part)


class RecipeError(Exception):
    """A recipe, or an argument of a command, that cannot be run as it stands. Exit code 2."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class RunError(Exception):
    """A run that failed for a reason that its user can act on. Exit code 1, shown without a traceback."""

    def __init__(self, message: str) -> None:
        super().__init__(shorten(message))


class NotFiniteError(RunError):
    """The loss of a step or an evaluation was infinite or no number."""


class ProofError(RunError):
    """A phase did to the weights what it should not have (`ftapp.freezing.proof`)."""


class HubError(RunError):
    """A preset or data set that could not be had from its hub or server; a profile may do without it."""


def explain_way_out(profiles: Sequence[str]) -> str:
    """Write the clause after a HubError.

    Args:
        profiles: Profiles of the recipe that need no hub.
    """
    return f"'--profile {profiles[0]}' works without it" if profiles else "local folders and files work without it"


class NotFoundError(HubError):
    """What a hub or server answers that it does not have, under the name that was asked for."""


_QUOTED = reprlib.Repr()
_QUOTED.maxlevel, _QUOTED.maxdict, _QUOTED.maxlist, _QUOTED.maxtuple = 3, 4, 6, 6
_QUOTED.maxstring = _QUOTED.maxother = 120
_LONGEST_MESSAGE = 800  # characters
_LONGEST_WORD = 100  # characters; what is longer is no misspelling, and comparing it would take long


def quote(value: Any) -> str:
    """A value from outside as a message quotes it: as Python writes it, on one line, long and deep ones shortened."""
    try:
        return _QUOTED.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"


def shorten(message: str) -> str:
    """A message without the middle of what is too long to be read in it, such as a value of kilobytes."""
    half = _LONGEST_MESSAGE // 2
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:half]} … {message[-half:]}"


def suggest_nearest(word: str, choices: Iterable[str]) -> str:
    """A clause that names the closest of `choices` to `word`, or all of them when none is close and they are few.

    Letter case counts, unless none is close with it.
    """
    choices = list(dict.fromkeys(choices))
    if len(word) <= _LONGEST_WORD:
        folded = {each.casefold(): each for each in reversed(choices)}
        for asked, known in ((word, {each: each for each in choices}), (word.casefold(), folded)):
            if close := difflib.get_close_matches(asked, known, n=1, cutoff=0.5):
                return f"did you mean '{known[close[0]]}'?"
    if not choices:
        return "there is nothing to choose from"
    if len(choices) <= 24:
        return "choose from " + ", ".join(f"'{choice}'" for choice in choices)
    return f"there are {len(choices)} choices, such as " + ", ".join(f"'{choice}'" for choice in choices[:6])
