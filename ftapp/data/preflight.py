"""What is checked of a recipe before a process is started for it: its backend and its data. Needs no Keras."""

from __future__ import annotations

from collections.abc import Iterable

from ftapp import data
from ftapp.common.downloads import Progress
from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.recipe import Recipe
from ftapp.runs.environment import check_installed


def check(recipes: Iterable[Recipe], progress: Progress | None = None) -> None:
    """Raise RecipeError for a backend that is not installed, and for data that cannot be used (`ftapp.data.check`).

    The data of recipes that differ in other things are read once. progress: is told of large files.
    """
    problems: list[Problem] = []
    seen: set[str] = set()
    for recipe in recipes:
        try:
            check_installed(recipe.backend)
            key = repr((recipe.task, recipe.data, recipe.seed))
            if key not in seen:
                seen.add(key)
                data.check(recipe, progress)
        except RecipeError as error:
            problems += error.problems
        except RunError:
            pass  # what cannot be had, for which the run gives its reason and a way out
    if problems:
        raise RecipeError(list(dict.fromkeys(problems)))
