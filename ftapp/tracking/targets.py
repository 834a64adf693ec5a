"""The trackers of a run: those of its recipe and of the user's settings, or those that a command names."""

from __future__ import annotations

from collections.abc import Sequence

from ftapp import recipe as recipes
from ftapp.common.errors import Problem, RecipeError, suggest_nearest
from ftapp.recipe import Track
from ftapp.recipe.track_schema import TRACKERS
from ftapp.recipe.user_settings import find_settings_file, load_settings
from ftapp.recipe.validation import check_tables
from ftapp.runs.run_folder import RunFolder

_USUAL: dict[str, str | bool] = {"tensorboard": True, "history": "csv"}


def find_usual(run: RunFolder) -> Track:
    """Find the trackers of a run by its recipe and the user's settings.

    Args:
        run: The run.

    Raises:
        RecipeError: The recipe or the settings are wrong.
        RunError: The user has no home folder.
    """
    return recipes.load(run.recipe_file).track.fill(load_settings().track)


def choose(run: RunFolder, asked: Sequence[str]) -> Track:
    """Choose the trackers that a command names.

    Args:
        run: The run.
        asked: A tracker each, with its project, its experiment or its kind of file: `NAME` or `NAME=TARGET`. Without
            one, it is that of the recipe or of the settings. No tracker at all stands for all of these.

    Raises:
        RecipeError: A tracker is unknown, or lacks its project; or there is none.
        RunError: The user has no home folder.
    """
    usual = find_usual(run)
    if not asked:
        if not usual.list_used():
            mend = f"--to names one, or the table [track] of the recipe or of {find_settings_file()}"
            raise RecipeError([Problem("", "", f"no tracker is named; {mend}")])
        return usual
    values: dict[str, str | bool] = {}
    for each in asked:
        name, _, target = each.partition("=")
        if name not in TRACKERS:
            raise RecipeError([Problem("", "--to", f"there is no tracker '{name}'; {suggest_nearest(name, TRACKERS)}")])
        values[name] = target or usual.list_used().get(name) or _USUAL.get(name, "")
        if name == "tensorboard":
            values[name] = target or True
        if not values[name]:
            raise RecipeError([Problem("", "--to", f"{name} lacks its project, such as --to {name}=PROJECT")])
    return check_tables(values, Track, "--to")
