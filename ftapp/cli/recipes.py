"""`ftapp recipes`, `show`, `copy` and `validate`: recipes themselves, without a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ftapp.cli.failure import refuse_bad_recipes
from ftapp.cli.options import JsonOption, ProfileOption, RecipeArgument, SetOption


def list_recipes(as_json: JsonOption = False) -> None:
    """List the recipes that come with ftapp."""
    from ftapp import recipe
    from ftapp.common.tables import Column, print_table

    with refuse_bad_recipes():
        rows = []
        for name, path in recipe.bundled().items():
            loaded = recipe.load(path)
            rows.append(
                {"name": name, "task": loaded.task, "title": loaded.title, "profiles": recipe.list_profiles(path)}
            )
    if as_json:
        print(json.dumps(rows))
        return
    columns = [
        Column("recipe", 0, least=16, is_name=True),
        Column("task", 3),
        Column("what it does", 1, least=24),
        Column("profiles", 2, least=12),
    ]
    print_table(columns, [[*map(str, list(row.values())[:3]), ", ".join(row["profiles"])] for row in rows])


def show(recipe_name: RecipeArgument, profile: ProfileOption = None, overrides: SetOption = None) -> None:
    """Print a recipe as TOML, with its profile, its overrides and its arms."""
    from ftapp import recipe

    with refuse_bad_recipes():
        shown = recipe.load_experiment(recipe.find(recipe_name), profile, overrides or [])
    print(shown.to_toml(), end="")


def copy(
    recipe_name: RecipeArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write. An existing file needs --force.")],
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing file.")] = False,
) -> None:
    """Copy a recipe, with its comments, to a file that you can change."""
    from ftapp import recipe

    with refuse_bad_recipes():
        recipe.copy_to(recipe.find(recipe_name), file, replace=force)
    print(file)


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="TOML files or names of recipes.")],
) -> None:
    """Check recipes with all their profiles, without running them, and warn of likely problems."""
    from ftapp import recipe
    from ftapp.common.errors import RecipeError
    from ftapp.common.tables import print_text
    from ftapp.recipe import cautions

    wrong: list[str] = []
    for name in files:
        problems: dict[str, None] = {}
        found: dict[str, None] = {}
        try:
            path = recipe.find(name)
            for profile in (None, *recipe.list_profiles(path)):
                try:
                    loaded = recipe.load_experiment(path, profile)
                    for arm, each in (loaded.arms or {"": loaded.base}).items():
                        place = ", ".join(filter(None, [profile and f"profile {profile}", arm and f"arm {arm}"]))
                        prefix = f"{place}: " if place else ""
                        found |= dict.fromkeys(f"{prefix}{caution}" for caution in cautions.find_cautions(each))
                except RecipeError as error:
                    problems |= dict.fromkeys(map(str, error.problems))
        except RecipeError as error:
            problems |= dict.fromkeys(map(str, error.problems))
        wrong += problems
        if not problems:
            print_text(f"{name}: valid")
        for caution in found:
            print_text(f"{name}: caution: {caution}", sys.stderr)
    for problem in wrong:
        print_text(problem, sys.stderr)
    raise typer.Exit(2 if wrong else 0)
