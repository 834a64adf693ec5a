"""Plans for scripts and notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftapp.api.recipes import Overrides, get_recipe
from ftapp.api.wait_for import wait_for
from ftapp.common.downloads import Progress
from ftapp.recipe import Recipe
from ftapp.rpc.inspector_client import InspectorClient


def plan(
    recipe: str | Path | Recipe,
    *,
    profile: str | None = None,
    overrides: Overrides = (),
    offline: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Plan what a run of a recipe trains and costs, as `ftapp plan --json` does. A helper process times a few steps.

    Args:
        recipe: The name of a recipe, the path of a TOML file, or a recipe of `load_recipe`.
        profile: The name of a profile; only beside a name or path.
        overrides: Changes of the recipe, as `load_recipe` takes them; only beside a name or path.
        offline: Whether the process makes no network call.
        progress: Called with the activity in words, the work done, and the work in all (None where not known).

    Returns:
        The plan: for each phase the layers that train, R, the memory, the estimated time and more.

    Raises:
        RecipeError: The recipe has problems, or does not fit its model or data.
        RunError: A download or a file failed, or the process has crashed.
    """
    resolved = get_recipe(recipe, profile, overrides)

    async def ask() -> dict[str, Any]:
        async with InspectorClient(offline=offline) as inspector:
            return await inspector.plan(resolved, progress)

    return wait_for(ask())
