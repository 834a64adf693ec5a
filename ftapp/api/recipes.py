"""Recipes for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftapp import recipe as recipes
from ftapp.common.errors import Problem, RecipeError
from ftapp.recipe import Recipe
from ftapp.recipe.toml_text import format_override

Overrides = Mapping[str, Any] | Sequence[str]
"""Changes of a recipe: values by dotted keys, or a text or texts `key=value` as `--set` takes them."""


def load_recipe(name: str | Path, *, profile: str | None = None, overrides: Overrides = ()) -> Recipe:
    """Load a recipe and check it.

    Args:
        name: The name of a recipe that comes with ftapp, or the path of a TOML file.
        profile: The name of one of its profiles.
        overrides: Changes, such as `{"phase.head.epochs": 3}`. A value of None removes the key.

    Returns:
        The resolved recipe. Its fields are the keys of the recipe reference.

    Raises:
        RecipeError: There is no such recipe, it is an experiment, or it has problems; the error names all of them.
    """
    loaded = recipes.load_experiment(recipes.find(str(name)), profile, format_overrides(overrides))
    if loaded.arms:
        arms = ", ".join(loaded.arms)
        message = f"this recipe is an experiment with the arms {arms}; 'ftapp run {name}' runs it"
        raise RecipeError([Problem(str(name), "arm", message)])
    if loaded.folds:
        mend = f"'ftapp run {name}' runs it; take one of them, such as data.fold = 1"
        message = f"this recipe is an experiment of {loaded.folds} folds; {mend}"
        raise RecipeError([Problem(str(name), "data.folds", message)])
    return loaded.base


def get_recipe(recipe: str | Path | Recipe, profile: str | None, overrides: Overrides) -> Recipe:
    """Return a recipe that is given by its name, by its path, or itself.

    Args:
        recipe: The name, the path, or the recipe.
        profile: A profile, only beside a name or path.
        overrides: Changes, only beside a name or path.

    Raises:
        RecipeError: As `load_recipe`; or a profile or changes came beside a loaded recipe.
    """
    if not isinstance(recipe, Recipe):
        return load_recipe(recipe, profile=profile, overrides=overrides)
    if profile or overrides:
        given = f"profile {profile!r}" if profile else "overrides"
        raise RecipeError([Problem("", "", f"{given} came beside a recipe that is loaded; load_recipe takes them")])
    return recipe


def format_overrides(overrides: Overrides) -> Sequence[str]:
    """Return changes as texts `key=value`.

    Args:
        overrides: The changes.

    Raises:
        RecipeError: A value is of a type that recipes do not have.
    """
    if isinstance(overrides, str):
        return [overrides]
    if not isinstance(overrides, Mapping):
        return overrides
    texts = []
    for key, value in overrides.items():
        try:
            texts.append(format_override(key, value))
        except TypeError as error:
            raise RecipeError([Problem("overrides", key, str(error))]) from error
    return texts
