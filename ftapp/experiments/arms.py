"""The arms of an experiment: their order, their names in folders, and the control."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ftapp.experiments.experiment_folder import Experiment
    from ftapp.recipe import Recipe

_CONTROL = "again"


class Round(NamedTuple):
    """The runs of an experiment that are compared with each other, one of each arm.

    Attributes:
        repeat: The number of the repeat, from 1. Each repeat has a seed of its own.
        fold: The fold whose examples are the test split, from 1; 0 without folds.
    """

    repeat: int = 1
    fold: int = 0

    def describe(self, repeats: int) -> str:
        """Name the round among others, such as "fold 2" or "repeat 3, fold 2".

        Args:
            repeats: How many repeats the experiment has.
        """
        parts = [f"repeat {self.repeat}"] if repeats > 1 or not self.fold else []
        return ", ".join([*parts, *([f"fold {self.fold}"] if self.fold else [])])


def list_rounds(repeats: int, folds: int = 0) -> list[Round]:
    """List the rounds of an experiment.

    Args:
        repeats: How many repeats there are.
        folds: How many folds each repeat has; 0 for none.
    """
    return [Round(repeat, fold) for repeat in range(1, repeats + 1) for fold in range(1, folds + 1) or (0,)]


def schedule(arms: Sequence[str], rounds: Sequence[Round]) -> Iterator[tuple[Round, str]]:
    """Order the runs of an experiment: every other round turns the arms around.

    A machine that grows slower or faster in the course then treats all arms alike.

    Args:
        arms: The names of the arms.
        rounds: The rounds.

    Yields:
        The round and the arm of each run.
    """
    for number, each in enumerate(rounds):
        for arm in reversed(arms) if number % 2 else arms:
            yield each, arm


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


def load_recipes(experiment: Experiment) -> dict[str, Recipe]:
    """Load the resolved recipe of each arm, a control included.

    Args:
        experiment: The experiment.

    Returns:
        The recipes by the names of the arms, in order.

    Raises:
        RecipeError: The experiment's recipe is not valid.
    """
    from ftapp import recipe  # here, since lists of runs need none of it

    loaded, facts = recipe.load_experiment(experiment.recipe_file), experiment.facts
    return add_control(loaded.arms or {facts["recipe"]: loaded.base}, facts["control"])


def name_control(arm: str) -> str:
    """Make the name of an arm's control."""
    return f"{arm} {_CONTROL}"


def make_slug(arm: str) -> str:
    """Write an arm's name as a part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", arm).strip("-").lower()
