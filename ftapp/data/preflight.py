"""The checks of a recipe before a process is started for it: of its backend and its data. Needs no Keras."""

from __future__ import annotations

from collections.abc import Iterable

from ftapp.common.downloads import Progress
from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.data import reading
from ftapp.recipe import Recipe
from ftapp.runs.environment import check_installed


def check(recipes: Iterable[Recipe], progress: Progress | None = None) -> None:
    """Check the backends and the data of recipes (`ftapp.data.check`).

    The data of recipes that differ in other things are read once.

    Args:
        recipes: The recipes.
        progress: Called with large files.

    Raises:
        RecipeError: A backend is not installed, or data cannot be used.
    """
    problems: list[Problem] = []
    seen: set[str] = set()
    for recipe in recipes:
        try:
            check_installed(recipe)
            key = repr((recipe.task, recipe.data, recipe.balance, recipe.seed))
            if key not in seen:
                seen.add(key)
                reading.check(recipe, progress)
        except RecipeError as error:
            problems += error.problems
        except RunError:
            pass  # a failed download, for which the run gives its reason and a way out
    if problems:
        raise RecipeError(list(dict.fromkeys(problems)))
