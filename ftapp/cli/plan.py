"""`ftapp plan`: what a recipe trains and costs. A helper process computes it, since that needs Keras."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ftapp.cli.failure import fail_on_run_errors, refuse_bad_recipes, suggest_profile
from ftapp.cli.options import JsonOption, OfflineOption, ProfileOption, RecipeArgument, SetOption

if TYPE_CHECKING:
    from ftapp.common.downloads import Progress
    from ftapp.recipe import Recipe


def plan(
    recipe_name: RecipeArgument,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Show what each phase of a recipe, or of its arms, trains and costs, without making a run."""
    from ftapp import recipe

    with refuse_bad_recipes():
        loaded = recipe.load_experiment(recipe.find(recipe_name), profile, overrides or [])
        planned = loaded.arms or {"": loaded.base}
        from ftapp.cli import activity

        activity.check(planned.values())
    if loaded.folds:
        note = f"{loaded.folds} folds: each is a run like this one, which is of fold 1"
        print(note, file=sys.stderr if as_json else sys.stdout, flush=True)
    with refuse_bad_recipes(), fail_on_run_errors(), suggest_profile(recipe_name, profile):
        plans = make_plans(list(planned.values()), offline=offline)
    for arm, made in zip(planned, plans, strict=True):
        if arm:
            print(f"arm {arm}", file=sys.stderr if as_json else sys.stdout, flush=True)
        if as_json:
            print(json.dumps({"arm": arm} | made if arm else made), flush=True)
            continue
        from ftapp.cli.plan_text import render_plan
        from ftapp.common.console import PlainConsole

        PlainConsole().print(render_plan(made))


def make_plans(recipes: Sequence[Recipe], *, offline: bool) -> list[dict[str, Any]]:
    """Have one helper process plan some recipes.

    Args:
        recipes: The recipes.
        offline: Whether the process makes no network call.

    Returns:
        The plan of each recipe (`ftapp.workers.planner.plan`).

    Raises:
        RecipeError: A recipe does not fit its model or data.
        RunError: The model or the data could not be loaded.
    """
    from ftapp.cli.ask_helper import ask_helper
    from ftapp.rpc.inspector_client import InspectorClient

    async def ask(inspector: InspectorClient, progress: Progress) -> list[dict[str, Any]]:
        return [await inspector.plan(each, progress) for each in recipes]

    return ask_helper("the plan", InspectorClient(offline=offline), ask)
